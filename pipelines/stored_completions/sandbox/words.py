"""The invented company: what its features are, and everything that is said to and by them."""

from dataclasses import dataclass
from functools import cached_property

_ITEMS = (
    "oak desk",
    "reading lamp",
    "rain jacket",
    "cargo bike",
    "espresso mill",
    "tent",
    "headset",
    "planter",
)


@dataclass(frozen=True)
class Feature:
    """A use that the company makes of the API; `{item}` in a sentence stands for one of its goods."""

    name: str
    team: str
    system: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    temperature: float = 1.0
    tools: tuple[str, ...] = ()
    shows_images: bool = False

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        return _filled(self.answers)

    @cached_property
    def asked(self) -> tuple[str, ...]:
        return _filled(self.questions)


def _filled(sentences: tuple[str, ...]) -> tuple[str, ...]:
    """Each sentence once, or once for each of the goods that it can speak of; an article's stand together."""
    return tuple(dict.fromkeys(sentence.replace("{item}", item) for item in _ITEMS for sentence in sentences))


SUPPORT = Feature(
    "support-chat",
    "customer-care",
    "You are the support assistant of Halmstroem & Vey, a mail-order shop. Be brief and kind.",
    (
        "Where is my {item}?",
        "The {item} came with a scratch. What now?",
        "Can I still change the address of my order?",
        "Do you ship the {item} to Iceland?",
        "¿Puedo devolver el pedido después de 30 días?",
        "I was charged twice 😕",
        "Thanks, and how long does the refund take?",
    ),
    (
        "Your {item} left our warehouse this morning and should reach you within two working days.",
        "I am sorry about the scratch on your {item}.",
        "We can send a new one or give you a fifth of the price back, whichever you prefer.",
        "The address can be changed until the parcel is handed over.",
        "Yes, we ship the {item} to Iceland; customs are paid at the door.",
        "Claro, puede devolverlo dentro de sesenta días y el envío corre por nuestra cuenta.",
        "The second charge is only a reservation and vanishes by itself within a week. 🙂",
        "Refunds take three to five working days, depending on your bank.",
        "Is there anything else that I can do for you?",
    ),
    temperature=0.3,
    tools=("find_order", "stock_level", "open_ticket"),
)
COPY = Feature(
    "product-copy",
    "marketing",
    "Write product texts in the house voice: warm, concrete, no superlatives.",
    (
        "Three lines for the {item}, please.",
        "A headline for the autumn page about the {item}.",
        "Make the text on the {item} shorter and friendlier 🍂",
        "A tweet about the {item}, with one emoji.",
    ),
    (
        "A {item} for mornings that start slowly.",
        "Made in small numbers, mended for life: our {item}.",
        "The {item} that waits by the door, whatever the weather ☔️.",
        "Built from ash and patience, the {item} grows older with grace.",
        "Meet the {item} — light on the back, heavy on charm ✨.",
        "Take the {item} along; you will find a reason. 👩‍🚀",
    ),
    temperature=0.9,
)
TRANSLATION = Feature(
    "translation",
    "marketing",
    "Translate what the user writes. Keep names and numbers as they are.",
    (
        "Into Japanese: The parcel will arrive tomorrow between nine and noon.",
        "Into Arabic: Thank you for your patience.",
        "Into Hindi: Please keep the receipt.",
        "Into Greek: The warranty lasts five years.",
        "Into Korean: The lamp is sold out.",
        "Into Ukrainian: Returns are free.",
        "Into Hebrew: See you soon.",
        "Into Thai: The shop opens at ten.",
    ),
    (
        "お荷物は明日の九時から正午の間に届きます。",
        "شكرًا لصبركم.",
        "कृपया रसीद संभाल कर रखें।",
        "Η εγγύηση διαρκεί πέντε χρόνια.",
        "램프는 품절되었습니다.",
        "Повернення безкоштовне.",
        "להתראות בקרוב.",
        "ร้านเปิดสิบโมงเช้า",
        "包裹将于明天送达。",
        "Gönderi yarın öğleden önce ulaşır, söz! 🎉",
    ),
    temperature=0.2,
)
REVIEW = Feature(
    "code-review",
    "platform",
    "You review changes to a Python code base. Name at most three things.",
    (
        "def total(rows): return sum(r['amount'] for r in rows)",
        "Is it fine to keep the connection open across requests?",
        "Why is this query slow?\n```sql\nselect * from parcels where lower(code) = 'x'\n```",
        "What would you test here?",
    ),
    (
        "The function reads well; I would name the unit of `amount`.",
        "Close the connection in a `with` block, or a failed request leaks it.",
        "The index on `code` cannot be used through `lower(code)`; add one on the expression.",
        "Test the empty list, a single row, and a row whose amount is negative.",
        "```python\ndef total(rows: list[Row]) -> Decimal:\n    return sum((row.amount for row in rows), Decimal(0))\n```",
        "Nothing else: this can go in.",
        "Mind the rounding at line 12: 0.1 + 0.2 != 0.3 in floats.",
    ),
)
NOTES = Feature(
    "meeting-notes",
    "operations",
    "Summarise the transcript in short sentences. Name who does what until when.",
    (
        "Transcript: Ines: the new scanner is late again. Omar: I will call them on Monday.",
        "Transcript: Wei: we have 40 pallets too many in Gent. Ada: move them before the sale.",
        "Shorter, please, and in German.",
    ),
    (
        "Omar calls the maker of the scanner on Monday.",
        "Ada moves forty pallets from Gent before the sale starts.",
        "The scanner is two weeks late; Ines keeps the old one running until then.",
        "Wei zählt den Bestand bis Freitag neu und meldet die Überzähligen.",
        "No decision was taken on the second shift.",
        "Next meeting: Thursday at 14:30, room “Øresund”.",
    ),
    temperature=0.4,
)
TRIAGE = Feature(
    "ticket-triage",
    "customer-care",
    "Sort the ticket. Answer with the JSON object only.",
    (
        "My {item} is broken and I want my money back!!",
        "Hi, just wanted to say that I love the {item} ❤️",
        "Please send me the invoice for the {item} again.",
    ),
    ("The customer is unhappy with the {item}.", "The customer only wants to share a kind word."),
    temperature=0.0,
)
INVOICES = Feature(
    "invoice-extraction",
    "finance",
    "Read the invoice and return its fields.",
    ("Rechnung Nr. 4471, 3 Stück {item}, netto 89,70 €", "Invoice 88-120: 1 x {item}, due in 14 days"),
    ("One {item} is invoiced with the usual terms.",),
    temperature=0.0,
    shows_images=True,
)
RESEARCH = Feature(
    "market-research",
    "strategy",
    "Answer from the web and cite your sources.",
    ("What do shops ask for a {item} these days?", "Which rules apply to used batteries in Norway?"),
    (
        "Three shops sell a comparable {item} for between 120 and 180 euros.",
        "Used batteries are taken back by every shop that sells them.",
        "Prices have hardly moved since the spring.",
    ),
)
VOICE = Feature(
    "voice-notes",
    "operations",
    "You are read aloud to people who pack parcels. One sentence.",
    ("Next parcel?", "Where do I put the {item}?"),
    (
        "The {item} goes to gate four, on the left.",
        "Take the green crate next.",
        "Break in five minutes, well done.",
    ),
)
DATA = Feature(
    "data-assistant",
    "platform",
    "You answer questions about our warehouse database.",
    ("How many orders are still open?", "Which warehouse holds most pieces?", "And the late parcels?"),
    (
        "There are 1,204 open orders.",
        "Gent holds most pieces, with Köln a close second.",
        "Nineteen parcels are late.",
        "Most of them left Gent on Friday.",
        "Köln has 3,118 pieces and Gent 3,420.",
        "I did not count orders that are still being paid.",
    ),
    temperature=0.0,
    tools=("find_order", "stock_level", "book_slot", "open_ticket"),
)
REFUSALS = (
    "I'm sorry, but I can't help with that request.",
    "I can't share another customer's address, but I can pass on a message.",
    "Tut mir leid, dabei kann ich nicht helfen.",
)
SOURCES = (
    ("Price watch: furniture in autumn", "https://prices.example/furniture?month=11"),
    ("Batterier og retur — forskrift", "https://lov.example/batterier"),
    ("Outdoor trade report", "https://trade.example/outdoor/2026"),
)
_CUSTOMER_FIRST = (
    "amber",
    "birch",
    "cobalt",
    "dune",
    "ember",
    "fjord",
    "granite",
    "heron",
    "iris",
    "juniper",
)
_CUSTOMER_LAST = (
    "bakery",
    "clinic",
    "dairy",
    "foundry",
    "garage",
    "library",
    "mill",
    "nursery",
    "optics",
    "press",
)
CUSTOMERS = tuple(f"{first}-{last}" for last in _CUSTOMER_LAST for first in _CUSTOMER_FIRST) + tuple(
    f"{first}-{last}-{branch}" for branch in (2, 3, 4) for last in _CUSTOMER_LAST for first in _CUSTOMER_FIRST
)
