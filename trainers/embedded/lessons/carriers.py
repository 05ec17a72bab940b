"""How people say things: patterns of carriers ("I love {}"), joins, openings and asides, with [alternatives].

A fifth of the carriers, chosen by a checksum of their text, and some joins are never taught. Does not know what is said in them.
"""

from __future__ import annotations

import itertools
import random
import re
import zlib
from functools import lru_cache

HELD_OUT = 5  # one carrier in so many is never taught
MANNERS = "[| please|, please| next time| this time| if you can| now| next| for me]"

# How a thing is wanted and not wanted; how a quality is; how an act is. "{}" is the idea.
LOVE = [
    "{}", "{} please", "{}, please",
    "[i|we|i really|i just|i do|i absolutely|honestly i|i think i|i still|personally i] [love|like|adore|want|prefer|enjoy|need|fancy] {}[| please| a lot| very much| the most| best]",
    f"[more|much more|some more|a bit more|a little more|way more|lots of|plenty of|add|add some|use|use more|try|try some|give me|show me|paint|do|make|draw|include] {{}}{MANNERS}",
    f"[let's have|let us try|bring in|go for|stick with|keep|keep the|how about|what about|i'd like|i would like|i'd love|i want to see|i'm after|i am in the mood for] {{}}{MANNERS}",
    "[can you|could you|would you|can we|could we|maybe you could|you could|you should|please] [use|add|try|do|paint|have|include|give me] {}[| please| next| more]",
    "[maybe|perhaps|ok,|yes,|hmm,|well,|so,|right,|definitely|mostly|mainly|only|just] {}[| please| this time]",
    "{} [is my favourite|is lovely|is great|is nice|is good|is perfect|is beautiful|would be nice|would be great|would be lovely|works well|looks good|looks great|is what i like|is what i want|makes me happy][|, really| to me| by the way| these days]",
    "[i'm a fan of|i am a big fan of|i'm fond of|i am fond of|i'm really into|i'm into|i can't get enough of|there should be|there could be more|it needs|it could use|it wants|with] {}",
    "[love|loving|like|want|need|prefer|love the|like the|a bit of|a touch of|a hint of|a dash of|loads of|tons of|more and more|as much as you can of] {}[| please| now]",
    "{}[, yes| yes|, more of that|, i like that|, lovely| forever| everywhere| all over| only| above all| more than anything][|, please| for once]",
    "[i don't mind|i wouldn't mind|i'm fine with|i am ok with|i have nothing against|nothing but|not enough|there's never enough|why not use|why are there no|why is there so little] {}[| here| now| any more]",
    "[my wife|my husband|my daughter|my son|my mum|my boss|everyone here|the kids] [loves|likes|adores|wants|prefers|would love] {}[| too| as well| as much as i do]",
    "[i liked|i love|i loved|i like|i preferred|my favourite is] the [one|picture|image] with [|the ]{}[| best| most]",
]  # fmt: skip
HATE = [
    "no {}", "less {}", "without {}", "not {}", "no {} please", "no more {}",
    "[i|we|i really|i just|i absolutely|honestly i|i think i|personally i|i truly] [hate|dislike|don't like|do not like|don't want|do not want|don't need|dont like|can't stand|cannot stand|loathe|don't enjoy] {}[| please| at all| any more|, sorry| much]",
    f"[no|no more|less|much less|a lot less|fewer|without|without any|skip|skip the|drop|drop the|lose|lose the|avoid|remove|leave out|get rid of|cut|stop using|stop with|not so much|not too much] {{}}{MANNERS}",
    "[can you|could you|would you|maybe you could|you could|you should|please] [avoid|drop|skip|remove|lose|leave out|get rid of|stop using|not use|not paint] {}[| please| next time]",
    "[please|maybe|perhaps|ok,|hmm,|well,|so,|right,|definitely|just] [no|no more|not|less|don't use|do not use|don't paint|never|never any] {}[| this time| again]",
    "[enough of|enough|too much|far too much|way too much|i'm tired of|i am tired of|tired of|i'm sick of|i've seen enough|i had enough of|i'm bored of|fed up with|anything but|everything but] {}[| now|, really|, sorry| here]",
    "{} [is ugly|is boring|is awful|is horrible|is too much|is not for me|isn't for me|is not my thing|is not nice|does nothing for me|must go|has to go|hurts my eyes|leaves me cold][|, really| to me|, sorry| these days]",
    "[i'm not a fan of|i am no fan of|not a fan of|i'm not fond of|i am not into|i'm not into|there is too much|there's too much|there should be no|there should be less|it has too much|i could do without|keep away from|stay away from] {}[| now|, really|, please| here]",
    "[hate|dislike|hating|don't like|don't want|not loving|hate the|not a bit of|never] {}[| please| at all]",
    "{}[? no|, no thanks| no thanks|, not for me|? not for me|? i hate that|? never][|, please|, really| ever]",
    "[please stop with|stop it with|away with|down with|no need for|not again|why are there so many|why is there so much|who needs|i've had it with] [|the |all the ]{}[| please| already]",
    "[my wife|my husband|my daughter|my son|my mum|my boss|everyone here|the kids] [hates|dislikes|doesn't like|can't stand|is tired of|would drop] {}[| too| as much as i do]",
    "[the|all the|this|those] {} [is a bit much|was a bit much|was too much|was not my thing|spoils it|looks wrong|looks cheap|looks dirty|annoys me|bothers me]",
    "[without|skip|no|drop|less|not] [|the ]{}, [it looks silly|it looks cheap|it is too much|that looks wrong|it is distracting|i saw it too often]",
]  # fmt: skip
FEEL = [
    "{}", "{} please", "something {}", "more {}",
    f"[make it|make this|make them|keep it|go|be|it should be|it must be|i want it|i want them|i'd like it|i would like it|i like it|i need it|let it be|let's make it] [|really |very |a bit |a little |more |quite |nice and ]{{}}{MANNERS}",
    "[something|anything|a picture that is|a mood that is|an image that's|pictures that are|a look that is|a feel that is] [|really |very |a bit |more |quite ]{}[| please| for me| for my wall]",
    "[i love|i like|i adore|i want|i prefer|i'd love|i'd like|give me|paint me|show me|let's have|how about|what about] [something|things|it|pictures|a picture that is] {}",
    "[can you|could you|would you|maybe you could|you could|please] [make it|go|keep it|paint something|do something|make them|try something] [|more |a bit |really ]{}[| please]",
    "[it should feel|it should look|i want it to feel|i want it to look|it needs to be|it could be|it has to be|i'm in the mood for something|we need something|i am looking for something] [|more |really |very ]{}",
    "[maybe|perhaps|ok,|yes,|hmm,|well,|so,|right,|mostly|just|a bit|a little|really|very|quite|rather] {}[| please| this time]",
    "[everything|all of it|the whole thing|the picture|the next one|all of them] [|should be |a bit |much ]{}[| please]",
]  # fmt: skip
COOL_OFF = [
    "less {}", "not {}", "too {}", "not so {}", "not too {}",
    f"[make it|make this|make them|keep it|it should be|i want it|i want them|i'd like it|let's make it|let it be|go] [less|not so|not too|a bit less|much less|not] {{}}{MANNERS}",
    "[it's|it is|they are|they're|that is|that's|this is|these are|this looks|it looks|it feels|everything is] [too|way too|far too|a bit too|much too|really too] {}[| for me| for my taste|, sorry| now]",
    "[i don't want|i do not want|i don't like|i do not like|i hate|i'm tired of|no more|please nothing|nothing|avoid anything|i can't stand|i dislike|stay away from] [|so |too ]{}[ things| pictures| stuff| looks]",
    "[don't make it|do not make it|please don't make it|don't be|don't go|never make it] [|so |too |that ]{}[| please| again| next time]",
    "[it should not be|it shouldn't be|it must not be|it should not feel|i don't want it|i do not want it|it need not be] [|so |too ]{}",
    "[please|maybe|perhaps|ok,|hmm,|well,|just|a bit|a little|much] less {}[| please| this time]",
]  # fmt: skip
ACT = [
    "{}",
    "please {}",
    "{} please",
    f"[please|now|maybe|perhaps|ok,|yes,|hmm,|just|always|next time] {{}}{MANNERS}",
    "[can you|could you|would you|can we|could we|i want you to|i'd like you to|you could|you should|maybe you could|let's|let us|try to|i'd love you to|i need you to|it would be nice to] {}[| please| more]",
]
REFRAIN = [
    "don't {}",
    "do not {}",
    "please don't {}",
    f"[don't|do not|please don't|please do not|never|maybe don't|just don't|ok, don't|let's not|try not to|you should not|you shouldn't|no need to|i don't want you to] {{}}{MANNERS}",
]
# One thing against another.
SWAP = [
    "{yes} instead of {no}", "{yes}, not {no}", "{yes} but no {no}", "less {no}, more {yes}", "more {yes}, less {no}", "{yes} rather than {no}",
    "[i'd rather have|i would rather have|i prefer|i like|i love|i want|i'd like|give me|use|try|paint|please use|can you use|could we have|let's have|rather|maybe] {yes} [instead of|rather than|over|and not|, not|but no|but not|and no|without|in place of] {no}[| please| this time]",
    "[instead of|rather than|in place of|not] {no}[, use|, give me|, i'd like|, try|, paint|, i want|, please use|, let's have|, how about|, more] {yes}[| please]",
    "[swap|replace|change|switch|please swap|please replace|can you swap|could you replace] {no} [for|with|to|by] {yes}[| please]",
    "[less|no|fewer|not so much|drop|lose|no more|without] {no}[,| and| but|, but| -|;] [more|add|use|i want|i love|give me|rather|lots of] {yes}[| please]",
    "[more|add|use|i want|i love|i like|give me|lots of|try] {yes}[,| and| but|, but| -|;] [less|no|not|fewer|without|drop|no more|never] {no}[| please]",
    "[i love|i like|i want|i adore] {yes} [but i hate|but i don't like|and i hate|but not|but never|but i can't stand|and i dislike] {no}",
    "[i hate|i don't like|i dislike|i can't stand|no|not] {no} [but i love|but i like|but i want|, i love|but i adore|, i prefer] {yes}",
    "{yes} [yes|is good|is fine], {no} no", "{no} [no|is bad|is not], {yes} yes", "not {no} but {yes}", "from {no} to {yes}",
]  # fmt: skip
SWAP_FEEL = [
    "{yes}, not {no}", "not {no} but {yes}", "less {no}, more {yes}", "more {yes}, less {no}", "{yes} but not {no}",
    "[make it|i want it|it should be|i'd like it|keep it|something|please make it|can you make it|rather|i prefer it] {yes} [rather than|instead of|and not|, not|but not|but not too|and never] {no}[| please]",
    "[it's|it is|that's|this is|they are] too {no}[,| -|;|, please] [make it|i want it|i'd like it|go|something|rather|more|i prefer it] {yes}[| please]",
    "[less|not so|not too|not] {no}[,| and| but|, but|;] [more|rather|a bit more|make it|really] {yes}[| please]",
]  # fmt: skip
AMOUNT = [
    "{}",
    "{} please",
    f"[i want|i'd like|i would like|give me|use|we need|i need|let's have|how about|i prefer|i'd love|show me|paint|there should be|there could be|it needs|it could use|with] {{}}{MANNERS}",
    "[can you use|could we have|can we have|would you paint|could you try|please use|please|maybe|perhaps|ok,|yes,|hmm,|well,|just|a bit|a little|much] {}[| please| this time| next]",
]
OUTSIDE = [
    "{}", "paint {}", "i want {}", "{} please",
    f"[paint|draw|do|make|show me|give me|i want|i'd like|i would like|i love|we love|add|put in|how about|what about|i need|let's have|now|maybe|i like|include] {{}}{MANNERS}",
    "[can you|could you|would you|can we|please|you could|i want you to|i'd like you to] [paint|draw|do|make|show me|give me|add|include|try] {}[| please| for me| next]",
    "[a picture of|a painting of|a photo of|a drawing of|an image of|a portrait of|something with|i'd love to see|i want to see|it should look like|it should be|make it look like] {}[| please]",
]  # fmt: skip
JOINS = [
    ", ", ", ", " and ", " and ", ". ", ". ", " but ", "; ", ", and ", " and also ", ", but ", "! ", ", also ", " - ", ", then ",
    " / ", ", while ", "; besides, ", ", however ", ", well, ", ", and then ", " and please ", ", moreover ", ". likewise ", ", in addition ",
    " and besides that ", ", meanwhile ", ". secondly, ", " together with that, ", ", still, ", ", {name}, ", " {name}: ",
]  # fmt: skip
NEW_JOINS = [", plus ", " yet ", ", oh and ", " & ", "... ", ", though ", " as well as "]
TURNS = [
    " but ",
    ". ",
    "; ",
    ", but ",
    "! ",
    ". but ",
    ", however ",
    " - but ",
]  # what may stand between a no and a bare yes
NEW_TURNS = [" yet ", "... ", ", though ", ". oh, "]
OPENINGS = [
    *[""] * 8,
    "hi, ", "hello, ", "ok ", "hmm ", "well, ", "so ", "actually ", "for the next ones: ", "i think: ", "listen, ", "my wish: ", "to be honest, ",
    "{name}, ", "hi {name}, ", "{name}: ",
]  # fmt: skip
NEW_OPENINGS = ["", "", "", "hey, ", "ah, ", "oh ", "dear palate, ", "next: ", "you know, "]
ENDINGS = [
    *[""] * 4,
    ".",
    ".",
    "!",
    " thanks",
    ", thanks",
    " :)",
    "...",
    "!!",
    ", nothing else",
    ", that's all",
    " {name}",
]
ASIDES = [
    "[it's|it is|this is|these are] for [my|our|the|a] [kitchen|office|hall|desk|bathroom|staircase|{name}]",
    "[it's|it is|that's] [my birthday|late|monday|my first time here|a gift for {name}|what {name} said|fun]",
    "[lol|haha|um|er|tbh|btw|imo|ha|phew|wow|{name}]",
    "[says|said|thinks|asks] [my|our] [neighbour|cousin|colleague|{name}]",
    "[i hope you can do that|you know best|no hurry|take your time|i trust you|as i said|i mean it|if that makes sense|hope that helps]",
    "[i have not decided yet|not there yet|it is early yet|yet again|even though it rains|though i say it myself|as though you knew|plus or minus|that is a plus]",
    "[as well you know|you did well|oh well|oh dear|dear me|dear {name}|my palate is odd|that palate of yours|next to {name}|who is next]",
    "[ever since {name}|because of {name}|while i wait|until tomorrow|after all|before lunch|whether you can or not|during the break|perhaps unlike {name}|between us]",
    "[which would please {name}|whose idea was this|where {name} lives|when you have time|how nice|why ever|anyone would|nobody told me|somebody asked|such is life]",
]  # fmt: skip
PLURAL = {" is ": " are ", " isn't ": " aren't ", " has ": " have ", " makes ": " make ", " works ": " work ", " looks ": " look ",
          " does ": " do ", " hurts ": " hurt ", " leaves ": " leave "}  # fmt: skip


@lru_cache
def expand(pattern: str) -> tuple[str, ...]:
    """Every text that a pattern with [one|of|these] stands for."""
    parts = [part.split("|") for part in re.split(r"\[([^\]]*)\]", pattern)]
    fixed = [part if number % 2 else ["|".join(part)] for number, part in enumerate(parts)]
    return tuple(
        " ".join("".join(chosen).split()).replace(" ,", ",").replace(" ;", ";") for chosen in itertools.product(*fixed)
    )


def is_held_out(carrier: str) -> bool:
    """Whether a carrier is kept from training; one of a single word beside the idea is taught, as nothing else teaches that word."""
    return len(carrier.split()) > 2 and zlib.crc32(carrier.encode()) % HELD_OUT == 0


@lru_cache
def carriers(pattern: str, held_out: bool) -> tuple[str, ...]:
    """The carriers of a pattern that are taught, or those that are not."""
    return tuple(carrier for carrier in expand(pattern) if is_held_out(carrier) == held_out)


def carrier(patterns: list[str], rng: random.Random, held_out: bool) -> str:
    """A carrier: every pattern is as likely as any other that has one."""
    return rng.choice(carriers(rng.choice([pattern for pattern in patterns if carriers(pattern, held_out)]), held_out))
