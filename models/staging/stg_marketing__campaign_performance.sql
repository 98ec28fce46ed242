with

marketing_clean as (

    select * from {{ marketing_clean() }}

),

final as (

    select
        -- keys are never null: a merge would insert a null key again on every run
        coalesce(nullif(trim(campaign_id), ''), 'unmapped') as campaign_id,
        coalesce(
            nullif(trim(campaign_name), ''), trim(campaign_id), 'unmapped'
        ) as campaign_name,
        coalesce(nullif(trim(channel), ''), 'unmapped') as channel,
        coalesce(nullif(trim(segment), ''), 'unmapped') as segment,
        cast(date as date) as date,

        -- measures stay null where the source has none: unknown is not zero
        cast(impressions as bigint) as impressions,
        cast(clicks as bigint) as clicks,
        cast(coalesce(leads, conversions) as bigint) as leads,
        cast(conversions as bigint) as conversions,
        cast(cost as decimal(18, 4)) as cost,
        cast(revenue as decimal(18, 4)) as revenue,

        leads is not null as is_leads_reported,

        -- the load that brought the row; the demo was never loaded
        {% if var('marketing_data') == 'own' -%}
        load_no
        {%- else -%}
        cast(null as bigint) as load_no
        {%- endif %},
        cast(trunc(date, 'MM') as date) as month

    from marketing_clean

)

select * from final
