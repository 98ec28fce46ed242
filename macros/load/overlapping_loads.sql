{% macro overlapping_loads(loads) -%}
    {#-
        The unread loads that bring days which another unread load of the same source brings too,
        as a literal list: rows of the other loads need no sorting. -1 stands for none.
    -#}
    {%- set numbers = [] -%}
    {%- if execute -%}
        {%- set query -%}
            select distinct one.load_no
            from {{ loads }} as one
            inner join {{ loads }} as another
                on one.source = another.source
                and one.load_no <> another.load_no
                and coalesce(one.first_date <= another.last_date, true)
                and coalesce(one.last_date >= another.first_date, true)
            where one.{{ unread_loads() }} and another.{{ unread_loads() }}
        {%- endset -%}
        {%- set numbers = run_query(query).columns[0].values() -%}
    {%- endif -%}
    ({{ numbers | sort | join(', ') or '-1' }})
{%- endmacro %}
