"""Line icons of the page, drawn for it: 20 by 20, in the colour of the text around them."""

from __future__ import annotations

_PATHS = {
    "seal": '<circle cx="10" cy="10" r="8"/><path d="M6.2 7.2 10 14l3.8-6.8"/>',
    "heart": '<path d="M10 16.2 4.2 10.6a3.6 3.6 0 0 1 5.1-5.1l.7.7.7-.7a3.6 3.6 0 0 1 5.1 5.1z"/>',
    "heart-on": '<path fill="currentColor" d="M10 16.2 4.2 10.6a3.6 3.6 0 0 1 5.1-5.1l.7.7.7-.7a3.6 3.6 0 0 1 5.1 5.1z"/>',
    "minus": '<circle cx="10" cy="10" r="6.8"/><path d="M5.4 14.6 14.6 5.4"/>',
    "eye": '<path d="M2.5 10S5.2 5.2 10 5.2 17.5 10 17.5 10 14.8 14.8 10 14.8 2.5 10 2.5 10z"/><circle cx="10" cy="10" r="2.2"/>',
    "down": '<path d="m6 8.2 4 4 4-4"/>',
    "plus": '<path d="M10 4.5v11M4.5 10h11"/>',
    "moon": '<path d="M15.8 11.9A6.4 6.4 0 0 1 8.1 4.2a6.4 6.4 0 1 0 7.7 7.7z"/>',
    "check": '<path d="m4.8 10.4 3.5 3.5 6.9-7.6"/>',
    "pen-check": '<path d="m3.4 10.8 3.2 3.2 6.2-6.9"/><path d="m10.6 14 6-6.6"/>',
    "question": '<path d="M7.4 7.6a2.6 2.6 0 1 1 3.7 2.4c-.7.4-1.1.9-1.1 1.7"/><path d="M10 14.6v.1"/>',
    "x": '<path d="m6 6 8 8M14 6l-8 8"/>',
}


def icon(name: str) -> str:
    """Return an icon as inline SVG, hidden from screen readers: its button has the words.

    Raises:
        KeyError: There is no such icon.
    """
    return (
        '<svg class="v-icon" viewBox="0 0 20 20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.6" '
        f'stroke-linecap="round" stroke-linejoin="round">{_PATHS[name]}</svg>'
    )
