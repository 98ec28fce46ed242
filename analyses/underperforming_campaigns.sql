-- Which campaigns are underperforming, why, and how much do they spend?
with

campaigns as (

    select * from {{ ref('marketing_kpi_campaign') }}

),

final as (

    select
        campaign_id,
        campaign_name,
        main_channel,
        current_cost,
        current_revenue - current_cost as current_profit,
        current_roi,
        underperformance_reasons

    from campaigns
    where is_underperforming

)

select * from final
order by current_profit asc, campaign_id asc
