{% macro broken_rules(refusing=false) -%}
    {#-
        The business rules over typed columns, in SQL that Spark and DuckDB share: `marketing load`
        judges by this very text at the door, the build judges again. Gives all rules that a row
        breaks, as text 'rule,rule', empty for none; or, if `refusing`, the first one that the
        row's source refuses (column refusing_rules, from its mapping), null for none.
    -#}
    {%- set huge_count = '1000000000000' -%}
    {%- set huge_amount = '10000000000' -%}
    {%- set rules = [
        ('negative_cost', "cost < 0"),
        ('negative_revenue', "revenue < 0"),
        ('clicks_above_impressions', "impressions > 0 and clicks > impressions"),
        ('clicks_without_impressions', "impressions = 0 and clicks > 0"),
        ('conversions_above_clicks', "clicks > 0 and conversions > clicks"),
        ('conversions_without_clicks', "clicks = 0 and conversions > 0"),
        ('impossible_date', "date < date '1990-01-01' or date > date '2100-12-31'"),
        (
            'future_date',
            "date > loaded_on + interval '1' day and date <= date '2100-12-31'"
        ),
        ('late_date', "date < late_before"),
        (
            'huge_value',
            "impressions > " ~ huge_count ~ " or clicks > " ~ huge_count
            ~ " or leads > " ~ huge_count ~ " or conversions > " ~ huge_count
            ~ " or cost > " ~ huge_amount ~ " or abs(revenue) > " ~ huge_amount
        ),
        ('duplicate', "copy_no > 1"),
        (
            'repeated_key',
            "(repeated_keys = 'refuse' and key_rows > 1)"
            ~ " or (repeated_keys = 'last' and key_rank > 1)"
        ),
        ('currency_without_rate', "currency <> project_currency and exchange_rate is null"),
    ] -%}
    {%- if refusing -%}
    case
        {%- for name, condition in rules %}
        when ({{ condition }}) and refusing_rules like '%,{{ name }},%' then '{{ name }}'
        {%- endfor %}
    end
    {%- else -%}
    concat_ws(
        ','
        {%- for name, condition in rules %},
        case when {{ condition }} then '{{ name }}' end
        {%- endfor %}
    )
    {%- endif -%}
{%- endmacro %}
