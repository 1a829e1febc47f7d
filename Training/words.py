"""The vocabulary of the diary language, by topic. No word is in two lists, so that a word tells what it is about."""

# People of the once-only instructions.
GUESTS = """Ada Alma Anna Arne Bea Bert Carl Celia Clara Dora Edda Ella Eric Felix Flora Greta Hans Helen Hugo Ida Ines
Ivan Jana Jonas Julia Karl Kurt Lars Lena Leo Lucy Mara Mark Martha Mia Nina Noah Olaf Olga Otto Pedro Petra Rita Robin
Sara Sofia Theo Ursula""".split()

DEEDS = """marries moves retires returns graduates performs competes departs arrives resigns recovers preaches lectures
debuts auditions wins dances speaks emigrates testifies""".split()

# People of the plans. 61 is a prime above the longest diary, so that each week has a favourite of its own.
FRIENDS = """Abel Agnes Alice Amos Anton Boris Bruno Cecil Chloe Cyril Daisy David Edith Edwin Elias Erna Esther Fiona
Frank Frida George Gerda Grace Harry Heidi Hilda Igor Irma Isaac Jacob James Jane Jens Judith Klara Leon Linda Louis
Lydia Magda Maria Moritz Nadia Nils Oliver Peter Philip Rachel Ralph Rebecca Rudolf Sally Simon Stella Susan Thomas
Vincent Walter Xenia Yvonne Zelda""".split()

ERRANDS = """visits calls cooks helps writes paints sings teaches phones hikes swims sews cycles camps bakes plays
draws skates digs fishes""".split()

# People of the free text, and those who keep diaries.
NAMES = """Ben Bo Cora Dan Earl Eli Elsa Emma Eva Finn Fred Gail Gina Gus Hana Jack Jan Joan Josef Kate Kim Lea Lily
Lina Lois Lola Luis Marie Max Mila Mona Nora Omar Paul Pia Rolf Rosa Ruth Sam Sten Sven Tara Tess Tina Tom Una Vera
Victor Viola Wanda Will Yara Zoe""".split()

# Journeys lead to these; the free text knows other places.
TOWNS = """Athens Berlin Bern Bonn Boston Bremen Cairo Crete Delhi Dublin Florence Geneva Ghent Hanoi Kyoto Lima Lisbon
London Madrid Milan Naples Oslo Paris Perth Porto Prague Riga Rome Seoul Sydney Tokyo Venice Vienna Warsaw York
Zurich""".split()

PLACES = """Bath Cork Cuba Dover Essex Fiji Genoa Iceland Jersey Kent Kiel Leeds Lyon Malta Minsk Nantes Nepal Nice
Norway Oxford Peru Pisa Quebec Samoa Siena Spain Tonga Turin Wales""".split()

TOPICS = """pottery chess yoga piano Latin French German Spanish guitar violin choir drawing painting cooking baking
sewing knitting poetry drama ballet judo tennis rowing sailing climbing fencing swimming weaving carving cello
flute""".split()

WEATHER = """sunny rainy cloudy windy foggy stormy snowy mild cold hot warm cool humid dry grey bright dull fresh wet
icy misty calm hazy chilly frosty gloomy golden clear damp rough""".split()

FOODS = """soup bread rice pasta fish cheese salad cake pie beans eggs honey apples pears plums grapes lemons onions
carrots peas corn tofu nuts figs dates toast waffles pancakes noodles dumplings stew curry pizza omelette yogurt jam
butter porridge mushrooms cherries""".split()

FLAVOURS = "sweet salty spicy sour bitter cheap fine simple crisp rich plain creamy smoky tasty".split()

MOODS = """happy sad tired proud glad content lonely hopeful busy bored curious brave nervous grateful lazy strong merry
sleepy quiet cheerful anxious restless relaxed weary eager gentle jolly peaceful lucky""".split()

TIMES = "noon dawn dusk night midnight sunset sunrise lunch dinner tea".split()

SPOTS = """river park market harbour forest lake station museum library bridge castle beach mill church tower hill
garden bakery theatre island meadow valley canal farm""".split()

THINGS = """letter parcel card photo postcard gift lamp chair table clock kettle mirror ladder fence door window shelf
carpet basket bicycle boat tent drum coat hat scarf vase""".split()

COLOURS = "red blue green yellow white black brown pink purple silver".split()

SUBJECTS = """money politics sport work music books history art love travel animals food health science dreams school
family cinema fashion stars trains birds flowers cats dogs horses""".split()

RELATIVES = "mother father sister brother aunt uncle cousin grandmother grandfather neighbour teacher friend".split()
