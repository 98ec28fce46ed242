with

ml_revenue as (

    select * from {{ ref('ml_revenue') }}

),

final as (

    select
        run_id,
        as_of_date,
        feature,
        meaning,
        importance_mllib,
        importance_permutation,
        rank

    from ml_revenue
    where output = 'feature_importance'

)

select * from final
