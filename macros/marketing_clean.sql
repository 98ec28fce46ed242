{% macro marketing_clean() -%}
    {#- The curated input: the demo's seed, or the model of the same physical name. -#}
    {%- if var('marketing_data') == 'demo' -%}
    {{ ref('marketing_clean') }}
    {%- elif var('marketing_data') == 'own' or exceptions is not defined -%}
    {{ ref('marketing_clean_loaded') }}
    {%- else -%}
    {{ exceptions.raise_compiler_error(
        "var marketing_data is '" ~ var('marketing_data') ~ "': use 'demo' or 'own'"
    ) }}
    {%- endif -%}
{%- endmacro %}
