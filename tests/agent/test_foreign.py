"""Simple wishes in Spanish, French, German, Italian and Portuguese, flags and signs; and that English stays English.

Each message has the conditions it must lead to: `~` marks a soft one, `!=` what is kept out. No model is asked: rules read.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from vouchrec.agent.annotations import read_messages
from vouchrec.agent.assemble import Agent
from vouchrec.agent.foreign_rules import asks_for_others, read_foreign
from vouchrec.agent.grammar import LANGUAGES, grammar, number_pattern, number_value, plain
from vouchrec.agent.language import language_of, spoken
from vouchrec.agent.link import Linker, Screen
from vouchrec.agent.turn import reply, start
from vouchrec.agent.types import Conversation, Done, Request, Span
from vouchrec.agent.understand import build_request, read, understand
from vouchrec.retrieval.build import builtin_domain
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.domain import Domain, load_domain
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.recipes import domain_toml
from vouchrec.retrieval.types import Item
from vouchrec.retrieval.vocabulary import SYMBOLS, forms

from ..conftest import ScriptedModel  # noqa: TID252

CASES = Path(__file__).parents[2] / "evals" / "cases"
SIGNS = {"is": "=", "any_of": "=", "is_not": "!=", "none_of": "!=", "min": ">=", "max": "<="}
WISHES = {
    "es": [
        (
            "busco una comedia española de los años 80, nada de Almodóvar porfa",
            "countries=Spain; directors!=Pedro Almodóvar; genres=comedy; year<=1989; year>=1980",
        ),
        (
            "una película española, de Almodóvar no por favor, y que no sea de terror",
            "countries=Spain; directors!=Pedro Almodóvar; genres!=horror",
        ),
        ("comedia francesa", "countries=France; genres=comedy"),
        ("Hola, ¿me recomiendas algo divertido para ver con niños?", "genres=family; ~moods=funny"),
        (
            "quiero una película japonesa de animación, que no dure más de dos horas",
            "countries=Japan; genres=animation; runtime<=120",
        ),
        ("algo como Parasite pero menos violento", "like parasite-2019; ~moods!=violent"),
        ("me encantó Amélie, ¿qué más me puede gustar?", "like amelie-2001"),
        ("tres thrillers coreanos posteriores a 2005", "countries=South Korea; genres=thriller; n 3; year>=2006"),
        ("no me gusta el terror, prefiero una comedia romántica", "genres!=horror; genres=comedy; genres=romance"),
        ("nada de superhéroes ni de guerra, por favor", "genres!=war; themes!=superheroes"),
        ("una película de los ochenta con Harrison Ford", "cast=Harrison Ford; year<=1989; year>=1980"),
        ("algo corto y tierno, mejor si es italiano", "runtime<=95; ~countries=Italy; ~moods=tender"),
        ("no quiero nada triste hoy", "moods!=sad"),
        ("cine negro anterior a 1960", "genres=film noir; year<=1959"),
        ("un documental en español", "genres=documentary; languages=Spanish"),
        ("no sé qué ver, algo de misterio", "genres=mystery"),
        ("película de Hitchcock que no sea Psycho", "directors=Alfred Hitchcock; dislike psycho-1960"),
        ("una de zombis, pero sin sangre", "moods!=violent; ~themes=zombies"),
        ("una peli romántica que no sea muy larga", "runtime<=120; ~moods=romantic"),
        ("drama argentino o chileno", "countries=Argentina|Chile; genres=drama"),
        ("terror no, por favor", "genres!=horror"),
        ("Solo quiero reír un rato, nada de dramas", "genres!=drama; ~moods=funny"),
        (
            "una peli de miedo pero no muy sangrienta, de los 2000 en adelante",
            "genres=horror; year>=2000; ~moods!=violent",
        ),
        ("ni terror ni gore ni violencia", "genres!=horror; moods!=violent"),
        ("quiero llorar", "~moods=moving"),
        ("no me importa que sea antigua, pero que sea en español", "languages=Spanish"),
        ("una película de menos de 100 minutos", "runtime<=100"),
        ("una hora y media máximo", "runtime<=90"),
        ("una película larga, más de tres horas", "runtime>=180"),
        (
            "pelicula de accion de los 90 sin arnold schwarzenegger",
            "cast!=Arnold Schwarzenegger; genres=action; year<=1999; year>=1990",
        ),
        ("quiero ver algo en francés", "languages=French"),
        ("¿tienes algo más antiguo?", "year<=1979"),
        ("sin subtítulos, una comedia", "genres=comedy"),
        ("una película que no sea americana", "countries!=United States"),
        ("no solo comedias", "genres=comedy"),
        ("una comedia de los años 70 y 80", "genres=comedy; year<=1989; year>=1970"),
        ("de los años sesenta a los ochenta, cine francés", "countries=France; year<=1989; year>=1960"),
        ("películas de antes de los 70", "year<=1969"),
    ],
    "fr": [
        (
            "un film drôle pour ce soir, moins d'une heure et demie, sans Gérard Depardieu",
            "cast!=Gérard Depardieu; runtime<=90; ~moods=funny",
        ),
        ("Je cherche un polar français des années soixante", "countries=France; genres=crime; year<=1969; year>=1960"),
        ("un film d'horreur coréen, pas trop long", "countries=South Korea; genres=horror; runtime<=120"),
        ("j'ai adoré Amélie, tu as quelque chose de similaire ?", "like amelie-2001"),
        ("je n'aime pas les comédies romantiques", "genres!=romance"),
        ("quelque chose de drôle mais pas bête, avec Louis de Funès", "cast=Louis de Funès; ~moods=funny"),
        ("un western italien d'avant 1970", "countries=Italy; genres=western; year<=1969"),
        ("pas de guerre, pas de science-fiction", "genres!=science fiction; genres!=war"),
        ("deux films japonais récents s'il vous plaît", "countries=Japan; n 2; year>=2017"),
        ("si possible un film d'animation, moins de 1h40", "runtime<=100; ~genres=animation"),
        ("on a déjà vu Parasite et Oldboy", "seen oldboy-2003; seen parasite-2019"),
        ("une comédie ou un drame, ni horreur ni violence", "genres!=horror; genres=comedy|drama; moods!=violent"),
        ("un film comme Alien, en plus récent", "like alien-1979; year>=2017"),
        ("un film espagnol ou mexicain à regarder en famille", "countries=Spain|Mexico; genres=family"),
        ("quelque chose comme Amélie mais plus court", "like amelie-2001; runtime<=95"),
        ("je veux pas voir de film triste ce soir, ma copine est malade", "moods!=sad"),
        (
            "Salut, t'aurais un film de science-fiction intelligent, genre Arrival ?",
            "genres=science fiction; like arrival-2016; ~moods=thought-provoking",
        ),
        ("rien de triste s'il te plaît", "moods!=sad"),
        ("un film pour enfants qui ne soit pas un dessin animé", "genres!=animation; genres=family"),
        ("on cherche un truc léger, max 1h30", "runtime<=90; ~moods=feel-good"),
        ("un thriller psychologique, sauf ceux de Fincher", "directors!=David Fincher; genres=thriller"),
        ("j'aime pas Nolan", "directors!=Christopher Nolan"),
        ("un film français mais pas une comédie", "countries=France; genres!=comedy"),
        ("un film entre 1950 et 1960", "year<=1960; year>=1950"),
        ("un film d'une heure et quart", "runtime<=90; runtime>=60"),
        ("Quel film de Godard me conseilles-tu ?", "directors=Jean-Luc Godard"),
        ("j'en ai marre des super-héros", "themes!=superheroes"),
        ("un thriller des années 60 et 70", "genres=thriller; year<=1979; year>=1960"),
        ("un film des années quatre-vingt-dix", "year<=1999; year>=1990"),
        ("un film des années quatre-vingt", "year<=1989; year>=1980"),
    ],
    "de": [
        (
            "ein spannender Thriller nach 2010, bitte kein Horror",
            "genres!=horror; genres=thriller; year>=2011; ~moods=suspenseful",
        ),
        (
            "Kannst du mir einen finnischen Film empfehlen, trocken und komisch, höchstens neunzig Minuten?",
            "countries=Finland; runtime<=90; ~moods=funny; ~moods=witty",
        ),
        ("Ich suche einen französischen Film aus den 60ern", "countries=France; year<=1969; year>=1960"),
        ("etwas Lustiges für die ganze Familie, nicht zu lang", "genres=family; runtime<=120; ~moods=funny"),
        ("ich mag keine Liebesfilme", "genres!=romance"),
        ("Horror mag ich nicht", "genres!=horror"),
        ("einen Krimi, am liebsten dänisch oder schwedisch", "genres=crime; ~countries=Denmark|Sweden"),
        ("ein Film wie Blade Runner, aber neuer", "like blade-runner-1982; year>=2017"),
        ("Parasite habe ich schon gesehen", "seen parasite-2019"),
        ("ein deutscher Stummfilm vor 1930", "countries=Germany|West Germany; languages=Silent; year<=1929"),
        ("nichts mit Tom Cruise bitte", "cast!=Tom Cruise"),
        ("Was kannst du mir für heute Abend empfehlen? Gruselig, aber nicht brutal", "moods!=violent; ~moods=creepy"),
        ("drei Western aus den siebziger Jahren", "genres=western; n 3; year<=1979; year>=1970"),
        ("einen Film von Fassbinder, höchstens anderthalb Stunden", "directors=Rainer Werner Fassbinder; runtime<=90"),
        ("keinen Horror und keinen Krieg", "genres!=horror; genres!=war"),
        (
            "einen Science-Fiction-Film zwischen 1970 und 1985, möglichst düster",
            "genres=science fiction; year<=1985; year>=1970; ~moods=dark",
        ),
        ("Krimi", "genres=crime"),
        ("Ich hätte gerne einen Film mit schwarzem Humor, es darf auch etwas älter sein", "~moods=dark"),
        ("Was gibt es Gutes mit Isabelle Huppert?", "cast=Isabelle Huppert"),
        ("Mein Sohn ist 8 Jahre alt, ein lustiger Zeichentrickfilm wäre super", "genres=animation; ~moods=funny"),
        (
            "keine Lust auf Action, lieber etwas Ruhiges aus Japan",
            "genres!=action; ~countries=Japan; ~moods=meditative",
        ),
        ("Filme der 90er Jahre mit viel Action", "genres=action; year<=1999; year>=1990"),
        ("Filme aus den Neunzigern", "year<=1999; year>=1990"),
        ("neunundneunzig Minuten höchstens", "runtime<=99"),
        ("weniger als zwei Stunden", "runtime<=120"),
        ("mindestens zweieinhalb Stunden", "runtime>=150"),
        (
            "eine französische Komödie mit Louis de Funès, aber nicht zu alt",
            "cast=Louis de Funès; countries=France; genres=comedy; year>=1980",
        ),
        ("Nenn mir fünf gute Horrorfilme ohne viel Blut", "genres=horror; moods!=violent; n 5"),
        ("Ich will was mit Zombies 🧟", "~themes=zombies"),
        ("ich hasse Musicals", "genres!=musical"),
        ("60er oder 70er, bitte ein Western", "genres=western; year<=1979; year>=1960"),
        ("Krimis der 60er- und 70er-Jahre", "genres=crime; year<=1979; year>=1960"),
        ("muss nicht neu sein, aber lustig", "~moods=funny"),
        ("Filme vor den 60ern", "year<=1959"),
    ],
    "it": [
        ("un film romantico ambientato a Roma, non troppo triste", "~moods!=sad; ~moods=romantic"),
        ("Cerco un thriller coreano, niente horror", "countries=South Korea; genres!=horror; genres=thriller"),
        ("una commedia italiana degli anni '60", "countries=Italy; genres=comedy; year<=1969; year>=1960"),
        ("qualcosa di simile a Blade Runner", "like blade-runner-1982"),
        ("un film di Fellini, ma non troppo lungo", "directors=Federico Fellini; runtime<=120"),
        ("mi è piaciuto molto Parasite, cosa mi consigli?", "like parasite-2019"),
        ("vorrei un film d'animazione giapponese, massimo due ore", "countries=Japan; genres=animation; runtime<=120"),
        ("niente film di guerra per favore", "genres!=war"),
        ("ho già visto Alien", "seen alien-1979"),
        ("un western di Sergio Leone", "directors=Sergio Leone; genres=western"),
        ("qualcosa di leggero per stasera, non più di un'ora e mezza", "runtime<=90; ~moods=feel-good"),
        ("un film francese o belga, possibilmente recente", "countries=France|Belgium; ~year>=2017"),
        ("horror no, grazie", "genres!=horror"),
        ("due film gialli con Marcello Mastroianni", "cast=Marcello Mastroianni; genres=mystery; n 2"),
        ("un film senza violenza né sangue", "moods!=violent"),
        ("non mi piacciono i musical", "genres!=musical"),
        ("cerco un film da vedere con i bambini, non un cartone", "genres!=animation; genres=family"),
        ("qualcosa degli anni settanta, magari un poliziesco", "year<=1979; year>=1970; ~genres=crime"),
        ("niente di troppo violento", "~moods!=violent"),
        ("un film come Parasite ma meno violento", "like parasite-2019; ~moods!=violent"),
        ("consigliami tre commedie francesi", "countries=France; genres=comedy; n 3"),
        ("vorrei piangere", "~moods=moving"),
        ("film d'azione ma non americano", "countries!=United States; genres=action"),
        ("dai 1990 in poi, un thriller", "genres=thriller; year>=1990"),
        ("film degli anni ottanta", "year<=1989; year>=1980"),
        ("un'ora e quaranta al massimo", "runtime<=100"),
        (
            "un thriller nordico, niente di lento",
            "countries=Denmark|Sweden|Norway|Finland; genres=thriller; moods!=slow-burning",
        ),
        (
            "qualcosa di profondo ma non deprimente, anni 90 o 2000",
            "moods!=tragic; year<=2009; year>=1990; ~moods=thought-provoking",
        ),
        ("un film sul calcio", "genres=sport"),
        ("un dramma o una commedia, ma non horror", "genres!=horror; genres=drama|comedy"),
    ],
    "pt": [
        ("quero um filme brasileiro, pode ser antigo, mas sem violência", "countries=Brazil; moods!=violent"),
        ("quero uma comédia leve para hoje à noite", "genres=comedy; ~moods=feel-good"),
        ("um filme de terror japonês dos anos 90", "countries=Japan; genres=horror; year<=1999; year>=1990"),
        ("algo parecido com Cidade de Deus", "like city-of-god-2002"),
        ("não gosto de musicais", "genres!=musical"),
        ("sem guerra nem violência, por favor", "genres!=war; moods!=violent"),
        ("um filme curto, no máximo 90 minutos", "runtime<=90"),
        ("três filmes franceses, de preferência antigos", "countries=France; n 3; ~year<=1979"),
        ("já vi Parasite, quero outro", "seen parasite-2019"),
        ("um filme com Wagner Moura", "cast=Wagner Moura"),
        ("um drama argentino depois de 2000", "countries=Argentina; genres=drama; year>=2001"),
        ("me indica um documentário brasileiro", "countries=Brazil; genres=documentary"),
        ("nada de super-heróis", "themes!=superheroes"),
        ("um filme de Almodóvar, mas não muito triste", "directors=Pedro Almodóvar; ~moods!=sad"),
        ("suspense sim, terror não", "genres!=horror; genres=thriller"),
        ("um filme italiano ou espanhol sobre amizade", "countries=Italy|Spain; ~themes=friendship"),
        ("não quero filme americano", "countries!=United States"),
        ("filme brasileiro de comédia, não muito longo", "countries=Brazil; genres=comedy; runtime<=120"),
        ("quero ver algo com a Fernanda Montenegro", "cast=Fernanda Montenegro"),
        ("um filme antigo, preto e branco, tipo Casablanca", "like casablanca-1942; year<=1979"),
        ("não gostei de Alien", "dislike alien-1979"),
        ("algo mais recente", "year>=2017"),
        ("um suspense psicológico, mas que não seja de terror", "genres!=horror; genres=thriller"),
        ("filmes do Kleber Mendonça Filho", "directors=Kleber Mendonça Filho"),
        (
            "quero um romance, de preferência francês, com menos de duas horas",
            "genres=romance; runtime<=120; ~countries=France",
        ),
        ("um filme da década de 70", "year<=1979; year>=1970"),
        ("não quero nada pesado, só uma comédia", "genres=comedy; moods!=dark"),
        ("um desenho animado pra ver com meu filho de 5 anos", "genres=animation"),
        ("filme de guerra não, prefiro aventura", "genres!=war; genres=adventure"),
        (
            "me recomenda três filmes de ficção científica dos anos 80?",
            "genres=science fiction; n 3; year<=1989; year>=1980",
        ),
        ("filmes dos anos 50 ou 60", "year<=1969; year>=1950"),
    ],
}


def asked(request: Request) -> str:
    """Return what a request asks for in one line: conditions, items, and how many."""
    said: list[str] = []
    for c in request.constraints:
        value = f"{float(str(c.value)):g}" if c.op in ("min", "max") else "|".join(c.values())
        said.append(("~" if c.strength == "soft" else "") + c.attribute + SIGNS[c.op] + value)
    said += [f"like {i}" for i in request.liked] + [f"dislike {i}" for i in request.disliked]
    said += [f"seen {i}" for i in request.seen] + ([f"n {request.n}"] if request.n else [])
    return "; ".join(sorted(said))


def request_of(linker: Linker, text: str, shown: tuple[str, ...] = ()) -> tuple[Request, list[Span], str]:
    spans = linker.link(text, Screen(shown))
    reading, fallback = read(ScriptedModel(), text, spans, len(shown), "")
    talk = Conversation("talk", "somebody")
    return build_request(text, spans, reading, talk, linker.catalogue.domain), spans, fallback


# ---- wishes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "text", "expected"), [(c, t, e) for c, all_ in WISHES.items() for t, e in all_])
def test_wishes(full_linker: Linker, language: str, text: str, expected: str) -> None:
    request, spans, fallback = request_of(full_linker, text)
    assert (spoken(text, spans), asked(request), fallback) == (language, expected, "understanding:language")


@pytest.mark.parametrize(
    ("text", "act"),
    [
        ("hola qué tal", "smalltalk"),
        ("merci beaucoup", "smalltalk"),
        ("danke!", "smalltalk"),
        ("grazie mille", "smalltalk"),
        ("obrigado!", "smalltalk"),
        ("ya he visto Heat", "feedback"),
        ("Ich suche etwas für heute Abend", "recommend"),
    ],
)
def test_acts_without_a_list(full_linker: Linker, text: str, act: str) -> None:
    assert request_of(full_linker, text)[0].act == act


@pytest.mark.parametrize(
    ("text", "act", "roles"),
    [
        ("la segunda ya la vi", "feedback", ["seen"]),
        ("le troisième, je n'ai pas aimé", "feedback", ["dislike"]),
        ("der erste hat mir gefallen", "feedback", ["like"]),
        ("qualcosa di più corto", "critique", ["must"]),
        ("outro, mas sem violência", "critique", ["exclude"]),
        ("d'autres films, s'il te plaît", "critique", []),
    ],
)
def test_messages_about_the_list(full_linker: Linker, text: str, act: str, roles: list[str]) -> None:
    shown = ("heat-1995", "alien-1979", "up-2009")
    spans = full_linker.link(text, Screen(shown))
    reading = read_foreign(text, spans, spoken(text, spans), shown=3)
    assert (reading.act, list(reading.roles)) == (act, roles)


def test_comparative_counts_from_the_list(full_linker: Linker) -> None:
    (span,) = full_linker.link("algo más corto, por favor", Screen(("alien-1979",)))
    assert [(c.op, c.value) for c in span.constraints] == [("max", 116)]


@pytest.mark.parametrize(
    ("text", "language"), [("ponme otra", "es"), ("d'autres idées", "fr"), ("etwas anderes", "de"), ("un altro", "it")]
)
def test_others_are_asked_for(text: str, language: str) -> None:
    assert asks_for_others(text, language)
    assert not asks_for_others("una comedia", language)


def test_the_search_is_in_english(full_linker: Linker) -> None:
    request, _, _ = request_of(full_linker, "un film romantico ambientato a Roma, niente horror")
    assert request.wish == "romantic Roma"


def test_a_place_is_no_title(full_linker: Linker) -> None:
    """There is a film Roma; after a preposition of place the word is the city."""
    assert all(s.kind != "title" for s in full_linker.link("un film ambientato a Roma"))
    assert [s.kind for s in full_linker.link("un film come Roma, per favore")] == ["title"]


# ---- language ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "something like La Dolce Vita",
        "I loved Amores Perros and Y Tu Mamá También",
        "any film by Almodóvar, no melodrama",
        "Das Boot was great",
        "a telenovela style drama",
        "Scorsese w/o DiCaprio and w/o De Niro, go",
        "ok then a football film, British",
        "Likes: Moonlight, Aftersun. Disliked: La La Land. Go.",
        "Le Samouraï",
        "no to 1, no to 2, maybe to 3",
        "a prison film",
        "Italian giallo",
        "???",
        "",
        "ホラー映画",
    ],
)
def test_english_and_unknown_languages_have_no_name(full_linker: Linker, text: str) -> None:
    assert spoken(text, full_linker.link(text)) == ""


def test_english_development_messages_stay_english(full_linker: Linker) -> None:
    turns = read_messages([CASES / "understanding_dev.jsonl"])
    taken = [t.text for t in turns if spoken(t.text, full_linker.link(t.text))]
    assert len(turns) > 300
    assert len(taken) <= 1, taken


def test_foreign_words_mean_nothing_in_english(full_linker: Linker) -> None:
    assert full_linker.link("my friend Terror and his comedia band") == []


def test_language_of_short_messages_needs_their_domain_words() -> None:
    assert language_of("comedia francesa") == ""
    assert language_of("comedia francesa", {"es": 2}) == "es"


# ---- flags and signs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("🇯🇵🍿 no anime", "countries=Japan; subgenres!=anime"),
        ("🇰🇷 thriller", "countries=South Korea; genres=thriller"),
        ("what's a good comedy for an evening with old friends 🇮🇹", "countries=Italy; genres=comedy"),
        ("🤠", "genres=western"),
        ("something with 🧟 please", "~themes=zombies"),
        ("no 👻", "themes!=ghosts"),
        ("🚫🤠", "genres!=western"),
        ("🕵🏽", "genres=mystery"),
        ("🇧🇷 quero uma comédia", "countries=Brazil; genres=comedy"),
        ("I loved it 😂", ""),
        ("thanks! 🎄", ""),
        ("we laughed so much at dinner yesterday 😂😂", ""),
    ],
)
def test_signs(full_linker: Linker, text: str, expected: str) -> None:
    assert asked(request_of(full_linker, text)[0]) == expected


# ---- numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "text", "value"),
    [
        ("es", "noventa y cinco", 95),
        ("es", "ciento veinte", 120),
        ("fr", "quatre-vingt-dix-sept", 97),
        ("fr", "quatre vingt dix", 90),
        ("fr", "soixante et onze", 71),
        ("fr", "cent quarante", 140),
        ("de", "neunundneunzig", 99),
        ("de", "einhundertzwanzig", 120),
        ("it", "novantotto", 98),
        ("it", "centoventi", 120),
        ("pt", "cento e trinta e cinco", 135),
        ("pt", "duzentos", 200),
    ],
)
def test_numbers_in_words(language: str, text: str, value: int) -> None:
    known = grammar(language)
    assert re.fullmatch(number_pattern(known), plain(text))
    assert number_value(text, known) == value


def test_plain_text_keeps_every_place() -> None:
    for text in ("İstanbul’da Çok güzel ﬁlm ß", "cafe\u0301 ½ 🇯🇵"):
        assert len(plain(text)) == len(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_pattern_of_a_language_compiles(language: str, full_linker: Linker) -> None:
    assert grammar(language).pattern("negators").search("") is None
    assert full_linker.link(f"{' '.join(sorted(grammar(language).telling))} 1990 90 min") is not None


# ---- words as data ----------------------------------------------------------------------------------------------


def test_words_name_values_of_the_domain() -> None:
    domain = builtin_domain()
    assert set(domain.words) == {*LANGUAGES, SYMBOLS}
    for vocabulary in domain.words.values():
        assert all(domain.attribute(name) for name in (*vocabulary.values, *vocabulary.cues))


def test_forms() -> None:
    assert list(forms("comedia(|s); cómic(o|a)")) == ["comedia", "comedias", "cómico", "cómica"]


def test_domain_with_words_survives_json_and_toml(tmp_path: Path) -> None:
    domain = builtin_domain()
    assert Domain.from_dict(json.loads(json.dumps(domain.to_dict()))) == domain
    (tmp_path / "films.toml").write_text(domain_toml(domain), encoding="utf-8")
    assert load_domain(tmp_path / "films.toml").words == domain.words


@pytest.mark.parametrize(
    ("text", "named"),
    [("plural = 'x'", "plural"), ("nouns = 3", "nouns"), ("[values]\ngenres = 1", "genres"), ("nouns = ", "TOML")],
)
def test_a_wrong_word_file_is_refused(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "books.toml").write_text("noun = 'book'\n", encoding="utf-8")
    (tmp_path / "books.es.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=named):
        load_domain(tmp_path / "books.toml")


def test_another_domain_has_only_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "books.toml").write_text("noun = 'book'\n[attributes.kinds]\n", encoding="utf-8")
    (tmp_path / "books.de.toml").write_text("nouns = 'Buch; Bücher'\n[values.kinds]\nnovel = 'Roman(|e)'\n", "utf-8")
    domain = load_domain(tmp_path / "books.toml")
    linker = linker_of(Catalogue([Item("a", "Some Book", attributes={"kinds": ("novel",)})], domain))
    assert asked(request_of(linker, "ich suche keinen Roman")[0]) == "kinds!=novel"
    assert linker.link("busco una comedia sin terror") == []
    assert linker.link("🇯🇵 🤠") == []


def linker_of(catalogue: Catalogue) -> Linker:
    return Linker(catalogue, np.zeros(len(catalogue), np.float32))


# ---- the turn ---------------------------------------------------------------------------------------------------


def test_no_model_is_asked_and_the_fallback_is_counted(full_linker: Linker) -> None:
    model = ScriptedModel()
    understanding = understand(model, full_linker, Conversation("talk", "somebody"), "quiero un drama francés")
    assert (understanding.source, understanding.fallback, model.prompts) == ("rules", "understanding:language", [])


def test_the_answer_says_that_the_language_is_read_roughly(agent: Agent) -> None:
    events = list(reply(agent, start(agent), "ein Horrorfilm, bitte kein Krieg"))
    done = events[-1]
    assert isinstance(done, Done)
    assert "I read German only roughly: tell me if I got something wrong." in done.reply.text
    assert done.reply.fallbacks["understanding:language"] == 1


@pytest.mark.parametrize(
    ("text", "said"), [("merci beaucoup", "You are welcome."), ("tschüss", "Enjoy"), ("hola", "Hello.")]
)
def test_thanks_and_farewells_are_answered_as_such(agent: Agent, text: str, said: str) -> None:
    done = list(reply(agent, start(agent), text))[-1]
    assert isinstance(done, Done)
    assert done.reply.text.startswith(said)
