MODEL (
  name marts.fleet_age,
  kind FULL,
  description 'Size, age and make of the fleet that each airline flew from New York',
  grain (carrier)
);

with fleet as (
  select
    carrier,
    tailnum,
    count(*) as flights
  from core.landed
  where tailnum is not null
  group by carrier, tailnum
),

dated as (
  select
    fleet.carrier,
    fleet.flights,
    2013 - planes.year_built as age,
    planes.seats,
    planes.manufacturer
  from fleet
  left join stg.planes on planes.tailnum = fleet.tailnum
),

totals as (
  select
    carrier,
    count(*) as planes,
    count(age) as planes_of_known_age,
    round(count(age) / count(*), 4) as known_share,
    round(avg(age), 1) as mean_age,
    max(age) as oldest_age,
    round(sum(age * flights) / sum(flights) filter (where age is not null), 1) as mean_age_per_flight,
    round(avg(seats), 1) as mean_seats,
    round(avg((manufacturer = 'Airbus')::integer), 4) as airbus_share
  from dated
  group by carrier
)

select
  totals.carrier,
  carriers.airline,
  totals.planes,
  totals.planes_of_known_age,
  -- American and Envoy report fleet numbers, not tail numbers, so that what matches the register may be somebody
  -- else's plane, one built in 1956 among them. Where most of a fleet is unknown, nothing is said about it.
  case when totals.known_share >= 0.5 then totals.mean_age end as mean_age,
  case when totals.known_share >= 0.5 then totals.oldest_age end as oldest_age,
  case when totals.known_share >= 0.5 then totals.mean_age_per_flight end as mean_age_per_flight,
  case when totals.known_share >= 0.5 then totals.mean_seats end as mean_seats,
  case when totals.known_share >= 0.5 then totals.airbus_share end as airbus_share
from totals
join stg.carriers on carriers.carrier = totals.carrier
