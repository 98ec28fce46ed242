{% macro changed_rows() -%}
    {#- In an incremental run on own data: rows of loads that this table hasn't seen yet. -#}
    {%- if execute and is_incremental() and var('marketing_data') == 'own' -%}
    load_no > {{ run_query('select coalesce(max(load_no), 0) from ' ~ this).rows[0][0] }}
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}

{% macro changed_months(relation) -%}
    {#-
        In an incremental run on own data: the months in which `relation` has rows of loads that
        this table hasn't seen yet. Months are partitions, so the others are not even opened.
    -#}
    {%- if execute and is_incremental() and var('marketing_data') == 'own' -%}
        {%- set rows = run_query(
            'select distinct month from ' ~ relation ~ ' where load_no > (select coalesce(max(load_no), 0) from '
            ~ this ~ ')'
        ).rows -%}
        {{ in_months(rows | map(attribute=0) | list) }}
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}

{% macro in_months(months, column='month') -%}
    {#- Condition for a list of months, which are dates or null (rows without a date). -#}
    {%- set dated = months | reject('none') | map('string') | sort -%}
    {%- if dated -%}
    ({{ column }} in (date '{{ dated | join("', date '") }}') or {{ column }} is null)
    {%- else -%}
    {{ column }} is null
    {%- endif -%}
{%- endmacro %}
