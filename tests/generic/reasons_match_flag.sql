{% test reasons_match_flag(model) %}
{#- A flag without a reason, or a reason without a flag, is a number that nobody can act on. -#}

select
    campaign_id,
    is_underperforming,
    underperformance_reasons
from {{ model }}
where
    (is_underperforming and underperformance_reasons is null)
    or (not is_underperforming and underperformance_reasons is not null)
    or (is_underperforming is null and coalesce(underperformance_reasons, '') not like 'not judged: %')

{% endtest %}
