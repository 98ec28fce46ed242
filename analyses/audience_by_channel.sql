-- Which audience segment pays off in which channel?
with

kpi as (

    select * from {{ ref('marketing_kpi') }}

),

totals as (

    select
        segment,
        channel,
        {{ sum_measures() }}

    from kpi
    group by segment, channel

),

final as (

    select
        segment,
        channel,
        cost,
        revenue,
        {{ kpi_columns(only=['cvr', 'cpl', 'roi']) }}

    from totals

)

select * from final
order by segment asc, roi desc, channel asc
