{% test not_empty(model) %}
{#- No row at all is a broken delivery, not a quiet day. -#}

select count(*) as row_count
from {{ model }}
having count(*) = 0

{% endtest %}
