{{
    config(
        materialized='ephemeral',
        enabled=(var('marketing_data') == 'own'),
    )
}}

with

deliveries as (

    select * from {{ source('raw', 'raw_marketing_delivery') }}

),

loads as (

    select * from {{ source('raw', 'raw_marketing_load') }}

),

exchange_rates as (

    select
        currency,
        valid_from,
        lead(valid_from) over (partition by currency order by valid_from) as valid_until,
        exchange_rate

    from {{ ref('exchange_rates') }}

),

typed as (

    -- the join leaves out rows of a load that broke off before its ledger row
    select
        deliveries.load_no,
        loads.source,
        loads.source_file,
        deliveries.source_line,
        deliveries.part,
        deliveries.campaign_id,
        deliveries.campaign_name,
        deliveries.channel,
        deliveries.segment,
        try_cast(deliveries.date as date) as date,
        try_cast(deliveries.impressions as bigint) as impressions,
        try_cast(deliveries.clicks as bigint) as clicks,
        try_cast(deliveries.leads as bigint) as leads,
        try_cast(deliveries.conversions as bigint) as conversions,
        try_cast(deliveries.cost as decimal(18, 4)) as cost,
        try_cast(deliveries.revenue as decimal(18, 4)) as revenue,
        deliveries.currency,
        '{{ var("currency") }}' as project_currency,
        deliveries.row_version,
        deliveries.copy_no,
        deliveries.key_rows,
        deliveries.key_rank,
        loads.loaded_on,
        loads.late_before,
        loads.repeated_keys,
        loads.refusing_rules,
        deliveries.fault_column,
        case
            when deliveries.fault_rule is not null then deliveries.fault_rule
            -- a cast that failed without the loader knowing must not pass as an empty cell
            when
                (deliveries.date is not null and try_cast(deliveries.date as date) is null)
                or (
                    deliveries.impressions is not null
                    and try_cast(deliveries.impressions as bigint) is null
                )
                or (
                    deliveries.clicks is not null
                    and try_cast(deliveries.clicks as bigint) is null
                )
                or (
                    deliveries.leads is not null
                    and try_cast(deliveries.leads as bigint) is null
                )
                or (
                    deliveries.conversions is not null
                    and try_cast(deliveries.conversions as bigint) is null
                )
                or (
                    deliveries.cost is not null
                    and try_cast(deliveries.cost as decimal(18, 4)) is null
                )
                or (
                    deliveries.revenue is not null
                    and try_cast(deliveries.revenue as decimal(18, 4)) is null
                )
                then 'not_typed'
        end as fault_rule,
        deliveries.fault_value,
        deliveries.raw_text

    from deliveries
    inner join loads
        on deliveries.load_no = loads.load_no

),

rated as (

    select
        typed.*,
        exchange_rates.exchange_rate

    from typed
    left join exchange_rates
        on
            typed.currency = exchange_rates.currency
            and typed.date >= exchange_rates.valid_from
            and typed.date < coalesce(exchange_rates.valid_until, date '9999-12-31')

),

judged as (

    select
        *,
        coalesce(fault_rule, {{ broken_rules(refusing=true) }}) as refused_rule

    from rated

),

final as (

    select
        load_no,
        source,
        source_file,
        source_line,
        part,
        campaign_id,
        campaign_name,
        channel,
        segment,
        date,
        impressions,
        clicks,
        leads,
        conversions,
        case
            when currency <> project_currency
                then cast(cost * exchange_rate as decimal(18, 4))
            else cost
        end as cost,
        case
            when currency <> project_currency
                then cast(revenue * exchange_rate as decimal(18, 4))
            else revenue
        end as revenue,
        currency,
        row_version,
        key_rows,
        fault_column,
        fault_value,
        raw_text,
        refused_rule,
        -- all of them, but only for the few rows that need it
        case when refused_rule is not null then {{ broken_rules() }} end as broken_rules

    from judged

)

select * from final
