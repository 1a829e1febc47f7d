"""The vocabulary of the logbook language, by topic. No word is in two lists, so that a word tells what it is about."""

# Those who keep logs.
NAMES = """Ada Ben Clara Dan Elsa Finn Greta Hugo Ida Jonas Karl Lena Max Nora Otto Paul Rosa Sven Tara Ursula""".split()

# What the notes are about.
GOODS = """tea salt coffee sugar flour rice oil wine beer milk butter cheese honey bread soap candles paper ink pens
books maps rope twine nails screws bolts tools hammers saws axes knives forks spoons plates cups bowls pots pans kettles
lamps wicks matches coal wood bricks tiles glass sand gravel cement paint brushes varnish glue wax leather wool cotton
silk linen felt lace yarn thread needles pins buttons zips belts boots shoes socks gloves hats scarves coats shirts tents
sacks crates barrels boxes baskets bottles jars cans tins lids corks pipes hoses pumps valves gears wheels tyres springs
chains locks keys hinges doors windows shelves tables chairs benches beds sheets pillows blankets towels curtains carpets
mirrors clocks bells drums flutes violins pianos chess cards dice balls kites sleds""".split()

# Where they are from.
TOWNS = """Athens Berlin Bern Bonn Boston Bremen Cairo Crete Delhi Dublin Florence Geneva Ghent Hanoi Kyoto Lima Lisbon
London Madrid Milan Naples Oslo Paris Perth Porto Prague Riga Rome Seoul Sydney Tokyo Venice Vienna Warsaw York
Zurich""".split()

# People whom the log meets. 41 jobs, a prime, so that each step has a favourite of its own.
GUESTS = """Abel Agnes Alice Amos Anton Boris Bruno Cecil Chloe Cyril Daisy David Edith Edwin Elias Erna Esther Fiona
Frank Frida George Gerda Grace Harry Heidi Hilda Igor Irma Isaac Jacob James Jane Jens Judith Klara Leon Linda Louis
Lydia Magda Maria Moritz Nadia Nils Oliver Peter Philip Rachel""".split()

JOBS = """Baker Butcher Carpenter Cook Cooper Clerk Dancer Dentist Doctor Driver Farmer Fisher Gardener Grocer Guard Guide
Hunter Judge Lawyer Mason Miller Miner Nurse Painter Pilot Plumber Poet Porter Potter Printer Ranger Sailor Singer Smith
Soldier Tailor Tanner Teacher Waiter Weaver Writer""".split()

# Animals, and the colours that they learn to answer with; 23 is a prime.
ANIMALS = """fox owl bear wolf deer goat sheep horse donkey hare mouse frog toad snake crow eagle hawk swan goose duck
badger otter beaver lynx""".split()

COLOURS = """red blue green yellow white black brown pink purple silver amber cobalt coral crimson indigo ivory jade khaki
lilac maroon olive scarlet violet""".split()

# What is counted.
TANKS = """oak ash elm fir pine birch beech maple cedar willow poplar alder hazel holly ivy laurel larch rowan spruce yew
agate beryl copper flint garnet granite iron jasper lead marble mica nickel onyx opal pearl quartz ruby slate tin topaz
zinc zircon bronze chalk clay pyrite talc basalt""".split()

# Free text.
WEATHER = """sunny rainy cloudy windy foggy stormy snowy mild cold hot warm cool humid dry grey bright dull fresh wet icy
misty calm hazy chilly frosty gloomy golden clear damp rough""".split()

MOODS = """happy sad tired proud glad content lonely hopeful busy bored curious brave nervous grateful lazy strong merry
sleepy quick cheerful""".split()

SPOTS = """river park market harbour forest lake station museum library bridge castle beach mill church tower hill garden
bakery theatre island""".split()

SUBJECTS = """money politics sport work music history art love travel food health science dreams school family fashion
trains birds flowers cats dogs""".split()
