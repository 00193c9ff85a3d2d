-- Which sources are in this warehouse, and has each been asked for everything?
-- about: chat.sources
select
    sources.source,
    sources.project,
    sources.covered_from is null as asked_for_everything
from chat.sources
order by sources.source
