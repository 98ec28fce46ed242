{% macro unread_loads() -%}
    {#- In an incremental run: the loads that no finished build has taken in. Else: everything. -#}
    {%- set last = none -%}
    {%- if execute and is_incremental() -%}
        {%- set loads = load_relation(api.Relation.create(
            database=this.database, schema=this.schema, identifier='marketing_loads'
        )) -%}
        {%- if loads is not none -%}
            {#- A literal, so that files of older loads are not even opened. -#}
            {%- set last = run_query('select max(load_no) from ' ~ loads).rows[0][0] -%}
        {%- endif -%}
    {%- endif -%}
    {%- if last is not none -%} load_no > {{ last }} {%- else -%} load_no > 0 {%- endif -%}
{%- endmacro %}
