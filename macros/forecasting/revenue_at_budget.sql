{% macro revenue_at_budget(multiplier) -%}
    {{ return(adapter.dispatch('revenue_at_budget')(multiplier)) }}
{%- endmacro %}

{% macro default__revenue_at_budget(multiplier) -%}
    {#- The curve is a power from half of the recent spend upwards, a straight line below. -#}
    case
        when base_revenue is null or elasticity is null then null
        when planned_daily_cost <= 0 or reference_daily_cost <= 0 then cast(0 as double)
        else
            base_revenue
            * {{ response_shape('(' ~ multiplier ~ ') * planned_daily_cost / reference_daily_cost') }}
            / {{ response_shape('planned_daily_cost / reference_daily_cost') }}
    end
{%- endmacro %}

{% macro response_shape(ratio) -%}
    case
        when {{ ratio }} >= 0.5 then power({{ ratio }}, elasticity)
        else power(cast(0.5 as double), elasticity) * ({{ ratio }}) / 0.5
    end
{%- endmacro %}
