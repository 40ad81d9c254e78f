"""The editor in other languages: nodes, panels, templates and the blueprint, and what a person has written in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import locales
from tests.browser import Editor, Look, running_editor
from tests.shipped_workflows import QUICK, rendered

pytestmark = pytest.mark.server

PACK_FOLDER = "reverse-personalization"

WRITTEN = """() => ({
  nodes: Object.fromEntries(app.graph.nodes.map((node) => [node.type, node.title])),
  inputs: Object.fromEntries(app.graph.nodes.flatMap((node) =>
    (node.widgets ?? []).map((widget) => [`${node.type}.${widget.name}`, widget.label]))),
  groups: app.graph.groups.map((group) => group.title),
  notes: app.graph.nodes.filter((node) => node.type === "MarkdownNote").map((node) => node.widgets[0].value),
})"""

PLACED = """() => {
  const node = app.graph.nodes.find((node) => node.isSubgraphNode?.())
  // While the editor loads it again.
  if (!node) return {}
  const { name, groups, inputs } = node.subgraph
  return {
    titles: [node.title, name],
    groups: groups.map((group) => group.title),
    inputs: inputs.map((input) => input.label ?? input.name),
    widgets: node.widgets.map((widget) => widget.label),
  }
}"""


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    pictures = {"photograph.png": rendered(5, 320, 256)}
    with running_editor(tmp_path_factory.mktemp("editor"), pictures, PACK_FOLDER) as (_, editor):
        yield editor


@pytest.fixture(scope="module")
def english(editor: Editor) -> dict[str, Any]:
    """What is written in a template, in English."""
    speak(editor, locales.ENGLISH)
    editor.open_template("group-photo")
    written: dict[str, Any] = editor.page.evaluate(WRITTEN)
    return written


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("screenshots")


def speak(editor: Editor, language: str, *, again: bool = True) -> None:
    """Choose a language as in the settings; with `again`, open the editor again in it."""
    editor.page.evaluate("(language) => app.extensionManager.setting.set('Comfy.Locale', language)", language)
    if again:
        editor.page.reload()
        editor.page.wait_for_function("window.app?.extensionManager && window.app.isGraphReady")
    editor.settle()


def said(language: str, key: str, **values: str | int) -> str:
    """What a panel says."""
    text = str(locales.read(locales.PANELS, language)[key])
    for name, value in values.items():
        isolated = language in ("ar", "fa", "he") and isinstance(value, str)
        text = text.replace(f"{{{name}}}", f"\u2068{value}\u2069" if isolated else str(value))
    return text


def graph_phrases(language: str) -> dict[str, str]:
    """What is written in the shipped graphs, by their English."""
    english, other = (locales.read(locales.GRAPHS, one) for one in (locales.ENGLISH, language))
    return {text: other[key] for key, text in english.items()}


def in_words(note: str, phrases: dict[str, str]) -> str:
    """An English note in the words of a language."""
    paragraphs = [(text[: len(text) - len(text.lstrip("# "))], text.lstrip("# ")) for text in note.split("\n\n")]
    return "\n\n".join(signs + phrases[text] for signs, text in paragraphs)


def translated(english: dict[str, Any], language: str) -> dict[str, Any]:
    """What `WRITTEN` returns in a language, from what it returns in English; without what the host translates."""
    phrases, nodes = graph_phrases(language), locales.read(locales.NODES, language)
    titles = {
        kind: phrases.get(title) or nodes.get(kind, {}).get("display_name") for kind, title in english["nodes"].items()
    }
    inputs = {}
    for key in english["inputs"]:
        kind, name = key.split(".", 1)
        inputs[key] = nodes.get(kind, {}).get("inputs", {}).get(name, {}).get("name")
    return {
        "nodes": {kind: title for kind, title in titles.items() if title},
        "inputs": {key: label for key, label in inputs.items() if label},
        "groups": [phrases[title] for title in english["groups"]],
        "notes": [in_words(note, phrases) for note in english["notes"]],
    }


def known(written: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """Those of the nodes and inputs that another has."""
    return {
        **written,
        **{
            part: {key: text for key, text in written[part].items() if key in like[part]}
            for part in ("nodes", "inputs")
        },
    }


def test_the_editor_offers_the_languages_that_there_are(editor):
    offered = editor.page.evaluate("app.ui.settings.settingsLookup['Comfy.Locale'].options.map((one) => one.value)")
    assert sorted(offered) == sorted((locales.ENGLISH, *locales.EDITOR_LANGUAGES))


@pytest.mark.parametrize(("language", "vue"), [("ja", False), ("ru", True), ("ar", True)])
def test_a_template_its_nodes_and_their_panels_speak_the_language(editor, english, shots, language, vue):
    speak(editor, language)
    editor.draw_as(Look(vue, "dark"))
    editor.problems.clear()
    editor.open_template("group-photo")
    wanted = translated(english, language)
    assert known(editor.page.evaluate(WRITTEN), wanted) == wanted

    says = locales.read(locales.PANELS, language)
    panel = editor.panel("face_choice")
    panel.get_by_text(said(language, "faces.empty", find=says["faces.find"])).wait_for()
    assert says["save.empty"] in editor.panel("before_after").last.inner_text()
    editor.set_values(QUICK)
    panel.get_by_role("button", name=says["faces.find"], exact=True).evaluate("(button) => button.click()")
    panel.locator(".rp-face").first.wait_for()
    count = panel.locator(".rp-face").count()
    panel.get_by_text(said(language, "faces.chosen", chosen=count, all=count)).wait_for()
    editor.page.screenshot(path=shots / f"{language}-template.png")
    editor.show_node("FaceEmbed")
    editor.page.screenshot(path=shots / f"{language}-panel.png")
    panel.get_by_role("button", name=says["models.button"]).evaluate("(button) => button.click()")
    dialog = editor.page.locator(".rp-models")
    dialog.get_by_text(says["models.column.licence"], exact=True).wait_for()
    editor.page.screenshot(path=shots / f"{language}-models.png")
    dialog.get_by_role("button", name=says["models.close"], exact=True).click()
    assert editor.problems == []


@pytest.mark.parametrize(("language", "vue"), [("ko", False), ("pt-BR", True)])
def test_a_blueprint_speaks_the_language_where_it_is_placed_and_when_it_is_loaded_again(editor, shots, language, vue):
    phrases = graph_phrases(language)
    speak(editor, language)
    editor.draw_as(Look(vue, "dark"))
    editor.page.evaluate("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    editor.settle()
    editor.place_blueprint()
    editor.wait_for_value(f"() => ({PLACED})().titles", None, [phrases["Anonymize faces"]] * 2)
    placed = editor.page.evaluate(PLACED)
    editor.page.screenshot(path=shots / f"{language}-blueprint.png")
    ports = ("image", "checkpoint", "adapter", "face_pack", "checker", "quality", "scales", "cover_method")
    assert placed["inputs"] == [phrases[name] for name in ports]
    assert placed["widgets"] == [phrases[name] for name in ports[1:]]
    groups = ("Models", "Every face alone", "Change every face", "Check, and cover what failed")
    assert placed["groups"][: len(groups)] == [phrases[title] for title in groups]
    # It stands in a workflow of the user's own.
    speak(editor, "fr", again=False)
    editor.wait_for_value(f"() => ({PLACED})().titles", None, [graph_phrases("fr")["Anonymize faces"]] * 2)
    assert editor.page.evaluate(PLACED)["widgets"] == [graph_phrases("fr")[name] for name in ports[1:]]


@pytest.mark.parametrize("vue", [False, True], ids=["canvas", "vue"])
def test_what_a_person_has_written_stays_and_the_rest_follows_the_language(editor, vue):
    speak(editor, locales.ENGLISH)
    editor.draw_as(Look(vue, "dark"))
    editor.open_template("group-photo")
    shipped = editor.page.evaluate(WRITTEN)
    editor.page.evaluate(
        """() => {
          app.graph.groups[0].title = "Aunt's models"
          app.graph.nodes.find((node) => node.type === "PreviewAny").title = "What Ada says"
          const note = app.graph.nodes.find((node) => node.type === "MarkdownNote").widgets[0]
          note.value = `${note.value}\\n\\nAsk Ada first.`
          app.extensionManager.workflow.activeWorkflow.changeTracker.checkState()
        }"""
    )
    written = editor.page.evaluate(WRITTEN)
    assert written["notes"] == [f"{shipped['notes'][0]}\n\nAsk Ada first."]
    for language in ("es", "zh-TW", locales.ENGLISH):
        speak(editor, language, again=False)
        phrases = graph_phrases(language)
        groups = [title if title == "Aunt's models" else phrases[title] for title in written["groups"]]
        editor.wait_for_value("() => app.graph.groups.map((group) => group.title)", None, groups)
        now = editor.page.evaluate(WRITTEN)
        assert now["nodes"]["PreviewAny"] == "What Ada says"
        assert now["nodes"]["ReverseIdentityLoadPhotograph"] == phrases["Photograph"]
        assert now["notes"] == written["notes"]
