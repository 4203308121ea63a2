"""Which generator a deployment uses."""

from __future__ import annotations

from afterimage.generations.generator import Generator
from afterimage.generations.templates import TemplateGenerator
from afterimage.settings import Settings


def generator_of(settings: Settings) -> Generator:
    """Each is imported where it is used: the offline one needs no HTTP client."""
    wanted = settings.generator
    if wanted.kind == "openai":
        from afterimage.edges.openai_chat import OpenAIChatGenerator

        return OpenAIChatGenerator(wanted)
    if wanted.kind == "gemini":
        from afterimage.edges.gemini import GeminiGenerator

        return GeminiGenerator(wanted)
    return TemplateGenerator()
