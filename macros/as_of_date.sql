{% macro as_of_date(column='date') -%}
    {#- An aggregate over the rows' dates: the var if set, else the last date; never the clock. -#}
    {%- if var('as_of_date') -%}
    max(cast('{{ var("as_of_date") }}' as date))
    {%- else -%}
    max({{ column }})
    {%- endif -%}
{%- endmacro %}

{% macro recent_months(relation, days, column='month') -%}
    {#-
        The months that the last days before the as-of date are in, as a literal: months are
        partitions, so older ones are not even opened. `relation` holds last_date.
    -#}
    {%- set as_of = none -%}
    {%- if var('as_of_date') -%}
        {%- set as_of = var('as_of_date') -%}
    {%- elif execute and relation.schema and load_relation(relation) is not none -%}
        {%- set as_of = run_query('select max(last_date) from ' ~ relation).rows[0][0] -%}
    {%- endif -%}
    {%- if as_of -%}
    {{ column }} >= trunc(date_sub(date '{{ as_of }}', {{ days }}), 'MM')
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}
