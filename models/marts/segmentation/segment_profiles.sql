with

ml_segments as (

    select * from {{ ref('ml_segments') }}

),

final as (

    select
        run_id,
        as_of_date,
        segment_code,
        performance_segment,
        meaning,
        suggested_action,
        method,
        n_campaigns,
        impressions,
        clicks,
        leads,
        conversions,
        cost,
        revenue,
        cost_share,
        revenue_share,
        ctr,
        cvr,
        cpl,
        cpa,
        cpc,
        cpm,
        roi,
        roas,
        aov,
        roi_rank,
        silhouette,
        name_agreement,
        name_agreement_by_cost

    from ml_segments
    where output = 'segment_profiles'

)

select * from final
