-- Which channel brings the most for its money?
with

channels as (

    select * from {{ ref('marketing_kpi_channel') }}

),

total as (

    select
        sum(cost) as cost,
        sum(revenue) as revenue

    from channels

),

final as (

    select
        channels.channel,
        channels.cost,
        channels.revenue,
        {{ safe_divide('channels.cost', 'total.cost') }} as cost_share,
        {{ safe_divide('channels.revenue', 'total.revenue') }} as revenue_share,
        channels.roi,
        channels.cpl

    from channels
    cross join total

)

select * from final
order by roi desc, channel asc
