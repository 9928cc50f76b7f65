"""What every template may use: icons, modules, times, sizes, the place in the menu."""

from datetime import datetime
from typing import Any

from django import template
from django.shortcuts import resolve_url
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from aml_portal.durations import spell_duration
from aml_portal.modules import imports_of
from aml_portal.sizes import spell_size

register = template.Library()
register.filter("size", spell_size)
register.filter("spell_duration", spell_duration)


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """An icon of the sprite; silent for screen readers unless it has a label."""
    address = f"{static('vendor/icons.svg')}#{name}"
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}"></use></svg>',
            label,
            address,
        )
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}"></use></svg>', address
    )


@register.simple_tag
def modules(*names: str) -> SafeString:
    """The module scripts of a page, and beforehand the names of all that they import.

    Else a browser asks for a module only when another that imports it has come.
    """
    imported = dict.fromkeys(each for name in names for each in imports_of(name))
    needed = [name for name in imported if name not in names]
    return format_html(
        "{}{}",
        format_html_join(
            "\n",
            '<link rel="modulepreload" href="{}">',
            ((static(name),) for name in needed),
        ),
        format_html_join(
            "\n",
            '<script type="module" src="{}"></script>',
            ((static(name),) for name in names),
        ),
    )


@register.simple_tag
def moment(time: datetime | None, empty: str = "") -> SafeString | str:
    """A time that the page shows relative to now, and exactly when pointed at."""
    if time is None:
        return empty
    exact = localtime(time)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        exact.isoformat(),
        f"{exact:%Y-%m-%d %H:%M:%S %Z}",
        f"{exact:%Y-%m-%d %H:%M}",
    )


@register.inclusion_tag("components/_crumbs.html")
def crumbs(*words: Any) -> dict[str, object]:
    """Where a page is: the text and the place of each page above it, then its own name.

    A place is an address, the name of one, or what has one, such as a target.
    """
    *above, here = words
    texts, places = above[::2], above[1::2]
    steps = [
        (text, resolve_url(place)) for text, place in zip(texts, places, strict=True)
    ]
    return {"steps": steps, "here": here}


@register.simple_tag(takes_context=True)
def here(context: template.Context, prefix: str) -> SafeString | str:
    """`aria-current` for the menu entry whose pages begin with `prefix`."""
    request = context.get("request")
    path = request.path if request else ""
    current = path == prefix if prefix == "/" else path.startswith(prefix)
    return SafeString('aria-current="page"') if current else ""
