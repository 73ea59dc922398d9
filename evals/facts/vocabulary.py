"""What the sources call genres, languages and countries, in our vocabulary."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

__all__ = ["GENRES", "LANGUAGES", "MOODS", "SAME_COUNTRY", "SAME_LANGUAGE", "listed", "our_genres"]


def listed(text: str) -> tuple[str, ...]:
    """Return the parts of a text between commas."""
    return tuple(part for part in (p.strip() for p in text.split(",")) if part)


GENRES = frozenset(
    listed(
        "action, adventure, animation, biography, comedy, crime, documentary, drama, family, fantasy, film noir, "
        "history, horror, music, musical, mystery, romance, science fiction, sport, thriller, war, western"
    )
)
MOODS = frozenset(
    listed(
        "bittersweet, bleak, brooding, charming, cosy, creepy, cynical, dark, darkly funny, dreamlike, eerie, "
        "elegant, epic, "
        "exhilarating, feel-good, funny, gentle, gritty, haunting, heartwarming, hopeful, intense, intimate, "
        "irreverent, lighthearted, lyrical, meditative, melancholy, mind-bending, moving, nostalgic, offbeat, "
        "playful, "
        "provocative, quirky, raw, romantic, sad, satirical, scary, sentimental, sexy, silly, slow-burning, "
        "spare, stylish, surreal, suspenseful, "
        "sweeping, tender, tense, thought-provoking, tragic, uplifting, violent, warm, whimsical, witty"
    )
)
_GENRE_WORDS = {
    "action": (
        "action-adventure",
        "action & adventure",
        "martial arts",
        "superhero",
        "spy",
        "spy/espionage",
        "disaster",
    ),
    "adventure": ("action-adventure", "action & adventure", "superhero", "survival"),
    "animation": ("animated", "anime", "anime features", "children & family movies"),
    "biography": ("biographical",),
    "comedy": ("comedies", "satire", "parody", "romantic comedy", "stand-up comedy"),
    "crime": ("police/cop", "noir", "film-noir"),
    "documentary": ("documentaries", "docuseries", "concert film", "performance", "animals & nature"),
    "drama": ("dramas", "legal", "medical", "soap opera / melodrama"),
    "family": ("children", "kids", "children & family movies"),
    "fantasy": ("sci-fi & fantasy", "supernatural"),
    "film noir": ("film-noir", "noir"),
    "history": ("historical",),
    "horror": ("horror movies", "slasher", "supernatural"),
    "music": ("musical", "music & musicals", "concert film", "dance", "performance"),
    "musical": ("music", "music & musicals", "dance"),
    "romance": ("romantic movies", "romantic comedy", "erotic"),
    "science fiction": ("sci-fi", "sci-fi & fantasy"),
    "sport": ("sports", "sports movies"),
    "thriller": ("thrillers", "suspense", "spy", "spy/espionage", "disaster"),
}
_LANGUAGE_CODES = (
    "ab:Abkhaz, af:Afrikaans, am:Amharic, ar:Arabic, be:Belarusian, bg:Bulgarian, bm:Bambara, bn:Bengali, "
    "bo:Tibetan, bs:Bosnian, ca:Catalan, cn:Cantonese, co:Corsican, cs:Czech, da:Danish, de:German, "
    "el:Greek, en:English, es:Spanish, et:Estonian, eu:Basque, fa:Persian, fi:Finnish, fr:French, "
    "ga:Irish, gd:Gaelic, gl:Galician, he:Hebrew, hi:Hindi, hr:Croatian, hu:Hungarian, hy:Armenian, "
    "id:Indonesian, is:Icelandic, it:Italian, ja:Japanese, ka:Georgian, kk:Kazakh, km:Khmer, ko:Korean, "
    "ku:Kurdish, la:Latin, lt:Lithuanian, lv:Latvian, mi:Māori, mk:Macedonian, ml:Malayalam, "
    "mn:Mongolian, mr:Marathi, nb:Norwegian, ne:Nepali, nl:Dutch, no:Norwegian, pa:Punjabi, pl:Polish, "
    "ps:Pashto, pt:Portuguese, qu:Quechua, ro:Romanian, ru:Russian, sh:Serbian, sk:Slovak, sl:Slovene, "
    "so:Somali, sq:Albanian, sr:Serbian, sv:Swedish, sw:Swahili, ta:Tamil, te:Telugu, th:Thai, "
    "tl:Tagalog, tr:Turkish, uk:Ukrainian, ur:Urdu, uz:Uzbek, vi:Vietnamese, wo:Wolof, xh:Xhosa, "
    "yi:Yiddish, zh:Mandarin, zu:Zulu"
)
LANGUAGES = {pair[:2]: pair[3:] for pair in listed(_LANGUAGE_CODES)}
SAME_LANGUAGE = {
    "Cantonese": "Mandarin",
    "Taiwanese Hokkien": "Mandarin",
    "Shanghainese": "Mandarin",
    "Dari": "Persian",
    "Urdu": "Hindi",
    "Neapolitan": "Italian",
    "Bosnian": "Serbian",
    "Croatian": "Serbian",
}
SAME_COUNTRY = {
    "United States of America": "United States",
    "West Germany": "Germany",
    "East Germany": "Germany",
    "Soviet Union": "Russia",
    "Czechoslovakia": "Czech Republic",
    "Slovakia": "Czech Republic",
    "Yugoslavia": "Serbia",
    "Serbia and Montenegro": "Serbia",
    "Macedonia": "North Macedonia",
    "Palestinian Territory": "Palestine",
    "Hong Kong": "China",
}


def _genre_table() -> dict[str, frozenset[str]]:
    table: dict[str, set[str]] = {genre: {genre} for genre in GENRES}
    for genre, names in _GENRE_WORDS.items():
        for name in names:
            table.setdefault(name, set()).add(genre)
    return {name: frozenset(genres) for name, genres in table.items()}


_GENRE_OF = _genre_table()


def our_genres(names: Iterable[str]) -> frozenset[str]:
    """Return a source's genre names in our vocabulary; names without a counterpart are dropped."""
    found = (_GENRE_OF.get(name.strip().casefold(), frozenset[str]()) for name in names)
    return frozenset(itertools.chain.from_iterable(found))
