{% macro spark__alter_column_comment(relation, column_dict) %}
    {#- One statement and one Delta commit a table; dbt-spark would make one a column. -#}
    {%- set changes = [] -%}
    {%- for name, column in column_dict.items() if column['description'] -%}
        {%- set text = column['description'] | replace('\\', '\\\\') | replace("'", "\\'") -%}
        {%- do changes.append('`' ~ name ~ "` comment '" ~ text ~ "'") -%}
    {%- endfor -%}
    {%- if changes -%}
        {% do run_query('alter table ' ~ relation ~ ' alter column ' ~ changes | join(', ')) %}
    {%- endif -%}
{% endmacro %}
