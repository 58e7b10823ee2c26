MODEL (
  name stg.carriers,
  kind VIEW,
  description 'Airlines: the registered name, the one on the plane, and the kind of business in 2013',
  grain (carrier)
);

select
  airlines.carrier,
  airlines.name as registered_name,
  coalesce(carriers.airline, airlines.name) as airline,
  coalesce(carriers.business, 'unknown') as business
from raw.airlines
left join seeds.carriers on carriers.carrier = airlines.carrier
