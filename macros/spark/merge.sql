{% macro spark__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
    {#-
        As dbt-spark's, and three things more: a null in a key equals a null, so that rows without
        a date are not inserted anew each time; only the months that the new rows are in are
        opened, so that a merge costs the same however long the history is; and with meta
        `newer_by` a row is replaced only by one that is at least as new.
    -#}
    {%- set columns = adapter.get_columns_in_relation(target) | map(attribute='name') | list -%}
    {%- set newer_by = config.get('meta', {}).get('newer_by') -%}
    {%- set conditions = [] -%}
    {%- if 'month' in columns -%}
        {%- set rows = run_query('select distinct month from ' ~ source).rows -%}
        {%- do conditions.append(in_months(rows | map(attribute=0) | list, 'DBT_INTERNAL_DEST.month')) -%}
    {%- endif -%}
    {%- for key in unique_key -%}
        {%- do conditions.append('DBT_INTERNAL_SOURCE.' ~ key ~ ' <=> DBT_INTERNAL_DEST.' ~ key) -%}
    {%- endfor -%}

    merge into {{ target }} as DBT_INTERNAL_DEST
    using {{ source }} as DBT_INTERNAL_SOURCE
    on {{ conditions | join(' and ') }}
    when matched
        {%- if newer_by %}
        and DBT_INTERNAL_SOURCE.{{ newer_by }} >= DBT_INTERNAL_DEST.{{ newer_by }}
        {%- endif %}
        then update set *
    when not matched then insert *
{%- endmacro %}
