"""The code that runs, and what flows through it."""

from tlab_dash.code_page import CodePage
from tlab_dash.pages.page import Card, Page

code = Page(
    name="code",
    title="Code",
    lead="What is shown here is what runs.",
    selects=("layer", "head", "position"),
    cards=(Card(CodePage, columns=12, rows=2, tall=1100),),
)
