{% macro tested_rows(relation) -%}
    {#-
        Of a table that grows by merges, the months that changed since the last publication; what
        was published has passed. `marketing build` works them out and puts them into
        MARKETING_CHANGED_MONTHS; without it, as in a plain `dbt build`, every row is tested.
        Whether a table is empty is asked of the whole table: a build without news changes no month.
    -#}
    {%- set months = env_var('MARKETING_CHANGED_MONTHS', 'all') if execute else 'all' -%}
    {%- set growing = [
        'marketing_clean',
        '__dbt__cte__stg_marketing__campaign_performance',
        'marketing_kpi',
        'marketing_kpi_channel_daily',
        'marketing_kpi_monthly',
    ] -%}
    {%- set whole = (model.test_metadata or {}).name == 'not_empty' -%}
    {%- if months != 'all' and relation.identifier in growing and not whole -%}
    (select * from {{ relation }} where {{ in_months(months.split(',') | select | list) }})
    {%- else -%}
    {{ relation }}
    {%- endif -%}
{%- endmacro %}

{% macro default__get_where_subquery(relation) -%}
    {#- Every generic test reads its table through this macro of dbt. -#}
    {%- set where = config.get('where', '') -%}
    {%- set tested = tested_rows(relation) -%}
    {%- if where -%}
        {% do return('(select * from ' ~ tested ~ ' where ' ~ where ~ ') dbt_subquery') %}
    {%- elif tested == relation | string -%}
        {% do return(relation) %}
    {%- else -%}
        {% do return(tested ~ ' dbt_subquery') %}
    {%- endif -%}
{%- endmacro %}

{% macro first_tested_load() -%}
    {#- The first load that hasn't been published, as `marketing build` found it; else all. -#}
    {{- env_var('MARKETING_TESTED_FROM_LOAD', '0') if execute else '0' -}}
{%- endmacro %}
