"""Nederlands: de berichten."""

WORDS = {
    "notice.planned": "{date}: werk aan een server waarop uw diensten draaien",
    "notice.changed": "Gewijzigd: werk aan een server waarop uw diensten draaien, nu op {date}",
    "notice.changed.times": "De tijden zijn anders dan we u eerder schreven.",
    "notice.changed.services": "Het raakt andere diensten dan we u eerder schreven.",
    "notice.changed.both": "De tijden en de diensten die het raakt zijn anders dan we u eerder schreven.",
    "notice.why.fans": "In een van onze servers draait een ventilator niet zoals het hoort, dus werken we aan die "
    "server. Wat dat voor uw diensten betekent staat hieronder.",
    "notice.why.power": "In een van onze servers werkt een voeding niet zoals het hoort, dus werken we aan die "
    "server. Wat dat voor uw diensten betekent staat hieronder.",
    "notice.why.memory": "Het geheugen van een van onze servers meldt fouten, dus werken we aan die server. Wat dat "
    "voor uw diensten betekent staat hieronder.",
    "notice.why.other": "Aan een van onze servers moet met de hand worden gewerkt. Wat dat voor uw diensten betekent "
    "staat hieronder.",
    "notice.when": "Wanneer",
    "notice.services": "Uw diensten",
    "notice.expect": "Wat u kunt merken",
    "notice.expect.reduced-redundancy.one": "{names} verhuist draaiend: reken op een korte pauze heen en een terug, "
    "meestal ruim onder een seconde. Dat is een verwachting, geen belofte; we meten het bij elke dienst met een "
    "meetpunt.",
    "notice.expect.reduced-redundancy.many": "{names} verhuizen draaiend: reken voor elk op een korte pauze heen en "
    "een terug, meestal ruim onder een seconde. Dat is een verwachting, geen belofte; we meten het bij elke dienst "
    "met een meetpunt.",
    "notice.expect.degraded.one": "{names} wordt twee keer herstart, zoals afgesproken: telkens enkele seconden.",
    "notice.expect.degraded.many": "{names} worden twee keer herstart, zoals afgesproken: telkens enkele seconden.",
    "notice.expect.outage.one": "{names} staat uit terwijl we werken, zoals afgesproken.",
    "notice.expect.outage.many": "{names} staan uit terwijl we werken, zoals afgesproken.",
    "notice.redundancy": "Reserve",
    "notice.redundancy.text": "Zolang die server weg is, is er van uw gegevens een kopie minder dan anders; een "
    "storing elders kan dan merkbaar zijn.",
    "notice.acknowledge": "Graag bevestigen",
    "notice.acknowledge.text": "Laat ons op uw pagina weten dat u dit hebt gelezen. Tenzij het werk niet kan wachten, "
    "beginnen we pas daarna, of nadat we u hebben gesproken.",
    "notice.do": "Wat u moet doen",
    "notice.do.text": "Niets. Verandert er iets, dan schrijven we opnieuw.",
    "notice.done": "Het werk aan de server is klaar",
    "notice.done.measured": "Het werk aan de server is klaar. Langste pauze: {figure}",
    "notice.called-off": "Het werk van {date} is niet afgemaakt",
    "notice.interrupted": "Uw diensten waren onderbroken op {date}",
    "notice.interrupted.lede": "Tijdens of rond ons werk aan een server gaf een van uw diensten langer geen antwoord "
    "dan had gemogen. Hier staat wat we maten.",
    "notice.correction": "Rectificatie van wat we over {date} schreven",
    "notice.correction.lede": "Wat we eerder schreven klopte niet: {why} Dit bericht komt daarvoor in de plaats.",
    "notice.repaired": "Verholpen: de fout bleef weg",
    "notice.repaired.lede": "Sinds ons werk hebben we op de server gelet, en de fout is niet teruggekomen. Vanaf "
    "vandaag noemen we de fout verholpen.",
    "notice.came-back": "De fout kwam terug",
    "notice.came-back.lede": "We hadden de fout nog niet verholpen genoemd en bleven op de server letten. Er wordt "
    "opnieuw aan gewerkt; we laten u weten wanneer.",
    "notice.work": "Het werk",
    "notice.over": "In de gaten gehouden tot",
    "notice.incident": "{customer}: {n} onderbrekingen om eerst naar te kijken",
    "notice.incident.lede": "{customer} was onderbroken rond onderhoud {maintenance}. De klant heeft nog niets "
    "gehoord, en een bericht over onopgemerkt werk wordt niet gemaakt.",
    "notice.incident.next": "Wat nu",
    "notice.incident.next.text": "Een bericht aan de klant met deze cijfers ligt als concept klaar. Geef het vrij, of "
    "trek het in en schrijf zelf.",
    "notice.link": "Alles, en wat er komt: {url}",
    "notice.link.report": "Het hele verslag, en hoe u het kunt nagaan: {url}",
    "notice.phone": "Lijkt er iets niet goed, bel dan {phone}.",
    "notice.noticed": "Hebt u toch iets gemerkt? Antwoord dan op deze mail: onze metingen zien niet alles.",
    "month.name": "{month} {year}",
    "month.title": "Werk achter de schermen in {month}",
    "month.lede.none": "In deze maand deden we geen werk dat uw diensten raakte.",
    "month.lede.one": "In deze maand werkten we één keer aan een server waarop uw diensten draaien. Hier staat wat er "
    "is gedaan en wat er is gemeten.",
    "month.lede.many": "In deze maand werkten we {n} keer aan servers waarop uw diensten draaien. Hier staat wat er "
    "is gedaan en wat er is gemeten.",
    "month.works": "Wat we deden",
    "month.services": "Uw diensten in deze maand",
    "month.col.day": "Dag",
    "month.col.what": "Waarom",
    "month.col.services": "Diensten die hun server verlieten",
    "month.col.measured": "Zo lang gemeten",
    "month.unagreed.one": "{n} onderbreking",
    "month.unagreed.many": "{n} onderbrekingen",
    "month.restarts.one": "{n} herstart, zoals afgesproken",
    "month.restarts.many": "{n} herstarts, zoals afgesproken",
    "month.note": "Elke regel berust op een verslag dat we u stuurden; de cijfers zijn dezelfde. We meten alleen "
    "terwijl we werken aan een server waarop uw diensten draaien: deze cijfers zeggen niets over de rest van de "
    "maand en zijn er niet mee gemiddeld.",
    "month.seal": "De vingerafdruk hieronder is die van de laatste regel in de lijst van wat we u vertelden. Bewaar "
    "hem: een lijst die opnieuw is geschreven komt er niet op uit.",
}
