{% macro sum_measures(prefix='', condition=none, only=none) -%}
    {#- The additive measures of a group, optionally of those of its rows that meet a condition. -#}
    {%- for measure in (only or [
        'impressions', 'clicks', 'leads', 'conversions', 'cost', 'revenue'
    ]) %}
    {%- set total = 'sum(' ~ measure ~ ')' if not condition
        else 'sum(case when ' ~ condition ~ ' then ' ~ measure ~ ' end)' %}
    {% if measure in ['cost', 'revenue'] -%}
    cast({{ total }} as decimal(18, 4))
    {%- else -%}
    {{ total }}
    {%- endif %} as {{ prefix }}{{ measure }}
    {{- ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
