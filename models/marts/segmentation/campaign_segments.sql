with

ml_segments as (

    select * from {{ ref('ml_segments') }}

),

final as (

    select
        run_id,
        as_of_date,
        campaign_id,
        campaign_name,
        channel,
        performance_segment,
        segment_code,
        meaning,
        suggested_action,
        method,
        status,
        confidence,
        distance,
        margin_to_second,
        previous_segment,
        is_changed,
        agrees_with_name,
        active_days,
        daily_cost,
        cost,
        revenue,
        cvr,
        roi,
        roas

    from ml_segments
    where output = 'campaign_segments'

)

select * from final
