"""Simulated people: someone who looks for something that the other side does not know, and says so bit by bit.

An agenda decides what a person says next (`agenda`), templates of several registers or a language model put it into words
(`phrases`, `speakers`), a check keeps what is looked for out of every message (`leaks`), and the other side is Vouch itself or any
OpenAI-compatible chat (`systems`). Source of the agenda: Schatzmann et al., "Agenda-based user simulation for
bootstrapping a POMDP dialogue system", NAACL 2007; of the warning about leaks: Zhu et al., "How reliable is your simulator?
Analysis on the limitations of current LLM-based user simulators for conversational recommendation", WWW 2024.
"""
