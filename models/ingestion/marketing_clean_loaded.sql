{{
    config(
        alias='marketing_clean',
        enabled=(var('marketing_data') == 'own'),
    )
}}

with

delivery as (

    select * from {{ source('raw', 'raw_marketing_delivery') }}

),

final as (

    -- every cell was checked when the file was loaded, so that no cast turns text into null here
    select
        campaign_id,
        campaign_name,
        channel,
        segment,
        cast(date as date) as date,
        cast(impressions as bigint) as impressions,
        cast(clicks as bigint) as clicks,
        cast(leads as bigint) as leads,
        cast(conversions as bigint) as conversions,
        cast(cost as decimal(18, 4)) as cost,
        cast(revenue as decimal(18, 4)) as revenue

    from delivery

)

select * from final
