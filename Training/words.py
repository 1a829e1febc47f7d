"""The vocabulary of the diary language, by topic."""

NAMES = """Ada Alma Anna Arne Bea Ben Bert Bo Carl Celia Clara Cora Dan Dora Earl Edda Eli Ella Elsa Emma Eric Eva
Felix Finn Flora Fred Gail Gina Greta Gus Hana Hans Helen Hugo Ida Ina Ines Iris Ivan Jack Jan Jana Joan Jonas Josef
Julia Karl Kate Kim Kurt Lars Lea Lena Leo Lily Lina Lois Lola Lucy Luis Mara Marie Mark Martha Max Mia Mila Mona Nina
Noah Nora Olaf Olga Omar Oscar Otto Paul Pedro Petra Pia Rita Robin Rolf Rosa Ruth Sam Sara Sofia Sten Sven Tara Tess
Theo Tina Tom Una Ursula Vera Victor Viola Wanda Will Yara Zoe""".split()

PLACES = """Athens Bath Berlin Bern Bonn Boston Bremen Cairo Cork Crete Cuba Delhi Dover Dublin Essex Fiji Florence
Geneva Genoa Ghent Hanoi Iceland Jersey Kent Kiel Kyoto Leeds Lima Lisbon London Lyon Madrid Malta Milan Minsk Nantes
Naples Nepal Nice Norway Oslo Oxford Paris Perth Peru Pisa Porto Prague Quebec Riga Rome Samoa Seoul Siena Spain Sydney
Tokyo Tonga Turin Venice Vienna Wales Warsaw York Zurich""".split()

EVENTS = """birthday wedding concert exam party recital farewell race lecture play speech visit audition premiere
jubilee picnic dance debate feast interview match ball auction breakfast""".split()

JOURNEYS = "trip cruise tour drive flight ride".split()

TOPICS = """pottery chess yoga piano Latin French German Spanish guitar violin choir drawing painting cooking baking
sewing knitting poetry drama ballet judo tennis rowing sailing climbing fencing swimming garden bridge book film history
music science weaving carving cello flute drum photo""".split()

KINDS = "class club course lesson meeting workshop".split()

ERRANDS = """visit call help meet thank write teach surprise invite phone paint film greet pay host join beat praise
draw interview""".split()

WEATHER = """sunny rainy cloudy windy foggy stormy snowy mild cold hot warm cool humid dry grey bright dull fresh wet icy
misty calm hazy chilly frosty gloomy golden clear damp rough""".split()

FOODS = """soup bread rice pasta fish cheese salad cake pie beans eggs honey apples pears plums grapes lemons onions
carrots peas corn tofu nuts figs dates toast waffles pancakes noodles dumplings stew curry pizza omelette yogurt jam
butter porridge mushrooms cherries""".split()

FLAVOURS = "sweet salty spicy sour bitter cheap fine simple crisp rich plain creamy smoky tasty".split()

MOODS = """happy sad tired proud glad calm lonely hopeful busy bored curious brave nervous grateful lazy strong merry
sleepy quiet cheerful anxious restless relaxed content eager gentle jolly weary peaceful lucky""".split()

TIMES = "noon dawn dusk night midnight sunset sunrise lunch dinner tea".split()

SPOTS = """river park market harbour forest lake station museum library bridge castle beach mill church tower hill
garden bakery theatre school island meadow valley canal farm""".split()

THINGS = """letter parcel card photo postcard gift lamp chair table clock kettle mirror ladder fence door window shelf
carpet basket bicycle boat tent drum coat hat scarf vase""".split()

COLOURS = "red blue green yellow white black brown pink purple silver".split()

SUBJECTS = """money politics sport work music books history art love weather animals travel food health science dreams
school family cinema fashion stars trains birds flowers cats dogs horses""".split()

RELATIVES = "mother father sister brother aunt uncle cousin grandmother grandfather neighbour teacher friend".split()
