with

ml_segments as (

    select * from {{ ref('ml_segments') }}

),

final as (

    select
        run_id,
        as_of_date,
        k,
        features,
        within_cost,
        silhouette,
        silhouette_null_95,
        ari_bootstrap,
        ari_bootstrap_p10,
        persistence_ari,
        smallest_segment,
        is_chosen,
        reason

    from ml_segments
    where output = 'segment_quality'

)

select * from final
