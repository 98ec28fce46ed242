{% macro as_of_date() -%}
    {#- An aggregate over the rows' dates: the var if set, else the last date; never the clock. -#}
    {%- if var('as_of_date') -%}
    max(cast('{{ var("as_of_date") }}' as date))
    {%- else -%}
    max(date)
    {%- endif -%}
{%- endmacro %}
