{% test unique_grain(model, columns) %}
{#- The grain that the model's first sentence names: no repeated key, and no key that is null. -#}

select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having
    count(*) > 1
    {%- for column in columns %}
    or {{ column }} is null
    {%- endfor %}

{% endtest %}
