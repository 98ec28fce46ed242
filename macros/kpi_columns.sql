{% macro kpi_columns(prefix='', only=none) -%}
    {#- Every ratio of the project, over columns that hold sums: never an average of ratios. -#}
    {%- set p = prefix -%}
    {%- set definitions = {
        'ctr': [p ~ 'clicks', p ~ 'impressions'],
        'cvr': [p ~ 'conversions', p ~ 'clicks'],
        'cpl': [p ~ 'cost', p ~ 'leads'],
        'cpa': [p ~ 'cost', p ~ 'conversions'],
        'cpc': [p ~ 'cost', p ~ 'clicks'],
        'cpm': ['1000 * ' ~ p ~ 'cost', p ~ 'impressions'],
        'roi': ['(' ~ p ~ 'revenue - ' ~ p ~ 'cost)', p ~ 'cost'],
        'roas': [p ~ 'revenue', p ~ 'cost'],
        'aov': [p ~ 'revenue', p ~ 'conversions'],
    } -%}
    {%- for name in (only or definitions) %}
    {{ safe_divide(definitions[name][0], definitions[name][1]) }} as {{ p }}{{ name }}
    {{- ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
