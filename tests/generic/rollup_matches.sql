{% test rollup_matches(model, source_model, group_by, measures, source_columns=none) %}
{#-
    A rollup holds exactly what its source holds: full outer join, so that a group missing on
    either side is found, and null-safe, so that a null on one side is a difference.
    `source_columns` maps a group column to its expression in the source.
-#}
{%- set source_columns = source_columns or {} %}
{#- Only where the rollup itself is read in part (see tested_rows) may its source be. -#}
{%- set in_part = 'dbt_subquery' in (model | string) %}
{%- set tested_source = tested_rows(source_model) if in_part else source_model %}

with

rollup as (

    select
        {%- for column in group_by %}
        {{ column }},
        {%- endfor %}
        {%- for measure in measures %}
        sum({{ measure }}) as {{ measure }},
        {%- endfor %}
        count(*) as row_count

    from {{ model }}
    {%- if group_by %}
    group by {{ group_by | join(', ') }}
    {%- endif %}

),

source_rows as (

    select
        {%- for column in group_by %}
        {{ source_columns.get(column, column) }} as {{ column }},
        {%- endfor %}
        {%- for measure in measures %}
        {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}

    from {{ tested_source }}

),

source_totals as (

    select
        {%- for column in group_by %}
        {{ column }},
        {%- endfor %}
        {%- for measure in measures %}
        sum({{ measure }}) as {{ measure }},
        {%- endfor %}
        count(*) as row_count

    from source_rows
    {%- if group_by %}
    group by {{ group_by | join(', ') }}
    {%- endif %}

),

final as (

    select
        {%- for column in group_by %}
        coalesce(rollup.{{ column }}, source_totals.{{ column }}) as {{ column }},
        {%- endfor %}
        {%- for measure in measures %}
        rollup.{{ measure }} as rollup_{{ measure }},
        source_totals.{{ measure }} as source_{{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}

    from rollup
    full outer join source_totals
        on
            {%- for column in group_by %}
            {{ "and " if not loop.first }}rollup.{{ column }} <=> source_totals.{{ column }}
            {%- else %}
            true
            {%- endfor %}
    where
        rollup.row_count is null
        or source_totals.row_count is null
        {%- for measure in measures %}
        or not (rollup.{{ measure }} <=> source_totals.{{ measure }})
        {%- endfor %}

)

select * from final

{% endtest %}
