-- Which pages are cited most?
-- about: chat.annotations
select
    annotations.url,
    annotations.title,
    count(*) as citations
from chat.annotations
where annotations.type = 'url_citation'
group by
    annotations.url,
    annotations.title
order by citations desc, annotations.url
limit 5
