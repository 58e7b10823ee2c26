-- No header: marts.cancellations_by_month, from the path.
with days as (
  select
    month,
    flight_date,
    count(*) as scheduled,
    count(*) filter (where is_cancelled) as cancelled
  from stg.flights
  group by month, flight_date
),

ranked as (
  select
    month,
    flight_date,
    scheduled,
    cancelled,
    rank() over (partition by month order by cancelled desc, flight_date) as place
  from days
)

select
  ranked.month,
  season.season,
  sum(ranked.scheduled)::bigint as scheduled,
  sum(ranked.cancelled)::bigint as cancelled,
  round(sum(ranked.cancelled) / sum(ranked.scheduled), 4) as cancelled_share,
  max(ranked.flight_date) filter (where ranked.place = 1) as worst_day,
  max(ranked.cancelled) as cancelled_on_worst_day
from ranked
join seeds.season on season.month = ranked.month
group by ranked.month, season.season
