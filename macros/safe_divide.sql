{% macro safe_divide(numerator, denominator) -%}
    {#- Null when the denominator is 0 or null, with ANSI on or off, on every engine we target. -#}
    cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0)
{%- endmacro %}
