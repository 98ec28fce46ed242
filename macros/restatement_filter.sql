{% macro restatement_filter(column='date') -%}
    {#- In an incremental run: only the days that sources still restate. Else: everything. -#}
    {%- if is_incremental() -%}
    {{ column }} >= (
        select date_sub(max(built.{{ column }}), {{ var('restatement_window_days') }})
        from {{ this }} as built
    )
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}
