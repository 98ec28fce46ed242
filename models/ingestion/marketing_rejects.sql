{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['load_no', 'source_line', 'part'],
        on_schema_change='fail',
    )
}}

with

{% if var('marketing_data') == 'own' %}

refused as (

    select * from {{ ref('int_marketing__judged_rows') }}
    where
        refused_rule is not null
        and load_no in {{ doubtful_loads(source('raw', 'raw_marketing_load')) }}

),

named as (

    select
        *,
        case
            when fault_column is not null then fault_column
            when refused_rule = 'negative_cost' then 'cost'
            when refused_rule = 'negative_revenue' then 'revenue'
            when refused_rule like 'clicks%' then 'clicks'
            when refused_rule like 'conversions%' then 'conversions'
            when refused_rule like '%date' then 'date'
            when refused_rule = 'huge_value' and impressions > 1000000000000 then 'impressions'
            when refused_rule = 'huge_value' and clicks > 1000000000000 then 'clicks'
            when refused_rule = 'huge_value' and leads > 1000000000000 then 'leads'
            when refused_rule = 'huge_value' and conversions > 1000000000000 then 'conversions'
            when refused_rule = 'huge_value' and abs(revenue) > 10000000000 then 'revenue'
            when refused_rule = 'huge_value' then 'cost'
            when refused_rule = 'currency_without_rate' then 'currency'
            else 'campaign_id'
        end as column_name

    from refused

),

final as (

    select
        load_no,
        source,
        source_file,
        source_line,
        part,
        column_name,
        refused_rule as rule,
        case
            when fault_column is not null then fault_value
            when column_name = 'impressions' then cast(impressions as string)
            when column_name = 'leads' then cast(leads as string)
            when column_name = 'cost' then cast(cost as string)
            when column_name = 'revenue' then cast(revenue as string)
            when column_name = 'clicks' then cast(clicks as string)
            when column_name = 'conversions' then cast(conversions as string)
            when column_name = 'date' then cast(date as string)
            when column_name = 'currency' then currency
            else campaign_id
        end as value,
        nullif(broken_rules, '') as broken_rules,
        coalesce(
            raw_text,
            to_json(
                struct(
                    campaign_id, channel, segment, date, impressions, clicks, leads, conversions,
                    cost, revenue
                )
            )
        ) as raw_text

    from named

)

{% else %}

final as (

    -- the demo has no rejects; the table is there so that every reader finds it
    select
        cast(null as bigint) as load_no,
        cast(null as string) as source,
        cast(null as string) as source_file,
        cast(null as bigint) as source_line,
        cast(null as int) as part,
        cast(null as string) as column_name,
        cast(null as string) as rule,
        cast(null as string) as value,
        cast(null as string) as broken_rules,
        cast(null as string) as raw_text
    where false

)

{% endif %}

select * from final
