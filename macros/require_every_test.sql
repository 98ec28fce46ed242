{% macro require_every_test() -%}
    {#- Before `publication`: this run must hold every data test, or the word "tested" is a lie. -#}
    {%- if execute and not var('publish_untested') -%}
        {%- set left_out = [] -%}
        {%- for node in graph.nodes.values() -%}
            {#- A test of the input that is switched off depends on nothing. -#}
            {%- if node.resource_type == 'test'
                and node.depends_on.nodes
                and node.unique_id not in selected_resources
                and model.unique_id not in node.depends_on.nodes -%}
                {%- do left_out.append(node.name) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if left_out -%}
            {{ exceptions.raise_compiler_error(
                "nothing is published: " ~ (left_out | length) ~ " tests are not part of this "
                ~ "command. Run `dbt build` without a selection (or make build)"
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
