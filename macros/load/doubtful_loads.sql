{% macro doubtful_loads(loads) -%}
    {#-
        The unread loads that may hold refused rows, as a literal list: rows were refused at the door,
        or amounts are converted by rates that may have changed, or the rules have. The files of
        all other loads are not even opened. -1 stands for none.
    -#}
    {%- set numbers = [] -%}
    {%- if execute -%}
        {%- set rules = local_md5(broken_rules().split() | join('')) -%}
        {%- set query -%}
            select load_no
            from {{ loads }}
            where
                {{ unread_loads() }}
                and (refused > 0 or converted > 0 or rules_md5 <> '{{ rules }}')
        {%- endset -%}
        {%- set numbers = run_query(query).columns[0].values() -%}
    {%- endif -%}
    ({{ numbers | sort | join(', ') or '-1' }})
{%- endmacro %}
