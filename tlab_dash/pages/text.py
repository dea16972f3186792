"""What the model writes, what else it could have written, and what it wrote before."""

from tlab_dash.pages.page import Card, Page
from tlab_dash.text_page import TextPage

text = Page(
    name="text",
    title="Text",
    lead="Text is drawn one character at a time, from the shares that the model gives to each.",
    cards=(Card(TextPage, columns=12, rows=2, tall=1320),),
)
