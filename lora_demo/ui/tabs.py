"""The four tabs in the story's order, and the script that opens one."""

import json

TITLES = {"rank": "1  Rank & SVD", "layer": "2  LoRA layer", "train": "3  Train", "classify": "4  Classify"}

REMEMBER = """() => {
  const names = %s, shown = document.querySelector('.tab-container button.selected')?.innerText.trim();
  const url = new URL(location);
  url.searchParams.set('tab', names[shown?.[0]] || 'rank');
  history.replaceState(null, '', url);
}""" % json.dumps({title[0]: name for name, title in TITLES.items()})  # noqa: UP031 (the braces are JavaScript's)


def opens(name: str) -> str:
    """JavaScript for an event: click the tab itself, so that what happens when a person opens it happens too."""
    return f"""() => {{
      for (const tab of document.querySelectorAll('.tab-container [role="tab"]')) {{
        if (tab.innerText.trim().startsWith('{TITLES[name][0]}')) tab.click();
      }}
      window.scrollTo(0, 0);
    }}"""
