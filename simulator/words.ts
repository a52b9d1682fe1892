/** The words and price levels that the catalogue is made of. */
export interface CategorySpec {
  readonly name: string;
  readonly nouns: readonly string[];
  readonly materials: readonly string[];
  readonly medianPrice: number;
  /** Sigma of the log-normal price. */
  readonly priceSigma: number;
  /** Bought again in a rhythm. */
  readonly consumable: boolean;
  /** Categories that a shopper goes on to from here. */
  readonly leadsTo: readonly string[];
  /** What reviewers talk about. */
  readonly aspects: readonly string[];
}

export const CATEGORIES: readonly CategorySpec[] = [
  {
    name: 'coffee',
    nouns: ['espresso beans', 'filter coffee', 'coffee capsules', 'cold brew', 'ground coffee'],
    materials: ['arabica', 'robusta', 'decaf', 'single origin'],
    medianPrice: 12,
    priceSigma: 0.35,
    consumable: true,
    leadsTo: ['kitchen', 'vitamins'],
    aspects: ['aroma', 'taste', 'roast', 'freshness'],
  },
  {
    name: 'skin-care',
    nouns: ['face cream', 'cleanser', 'serum', 'body lotion', 'sun cream'],
    materials: ['aloe', 'shea', 'hyaluron', 'oat'],
    medianPrice: 18,
    priceSigma: 0.5,
    consumable: true,
    leadsTo: ['vitamins', 'dresses'],
    aspects: ['scent', 'texture', 'effect', 'packaging'],
  },
  {
    name: 'pet-food',
    nouns: ['dog food', 'cat food', 'chew sticks', 'puppy food', 'kitten food'],
    materials: ['salmon', 'chicken', 'lamb', 'grain free'],
    medianPrice: 24,
    priceSigma: 0.45,
    consumable: true,
    leadsTo: ['garden', 'toys'],
    aspects: ['smell', 'bag size', 'ingredients', 'appetite'],
  },
  {
    name: 'vitamins',
    nouns: ['vitamin D drops', 'magnesium tablets', 'omega-3 capsules', 'protein powder', 'multivitamin'],
    materials: ['vegan', 'liquid', 'sugar free', 'high dose'],
    medianPrice: 16,
    priceSigma: 0.4,
    consumable: true,
    leadsTo: ['skin-care', 'shoes'],
    aspects: ['taste', 'dosage', 'effect', 'packaging'],
  },
  {
    name: 'shoes',
    nouns: ['sneakers', 'running shoes', 'boots', 'sandals', 'loafers'],
    materials: ['leather', 'canvas', 'suede', 'mesh'],
    medianPrice: 75,
    priceSigma: 0.45,
    consumable: false,
    leadsTo: ['jackets', 'dresses'],
    aspects: ['fit', 'sole', 'comfort', 'stitching'],
  },
  {
    name: 'dresses',
    nouns: ['dress', 'maxi dress', 'shirt dress', 'skirt', 'jumpsuit'],
    materials: ['linen', 'cotton', 'silk', 'viscose'],
    medianPrice: 55,
    priceSigma: 0.5,
    consumable: false,
    leadsTo: ['shoes', 'jackets'],
    aspects: ['fit', 'fabric', 'cut', 'colour'],
  },
  {
    name: 'jackets',
    nouns: ['jacket', 'parka', 'blazer', 'rain coat', 'fleece'],
    materials: ['wool', 'denim', 'down', 'nylon'],
    medianPrice: 95,
    priceSigma: 0.5,
    consumable: false,
    leadsTo: ['shoes', 'dresses'],
    aspects: ['warmth', 'zip', 'fit', 'fabric'],
  },
  {
    name: 'headphones',
    nouns: ['headphones', 'earbuds', 'headset', 'speaker', 'soundbar'],
    materials: ['wireless', 'wired', 'noise cancelling', 'open back'],
    medianPrice: 85,
    priceSigma: 0.65,
    consumable: false,
    leadsTo: ['books', 'kitchen'],
    aspects: ['sound', 'battery', 'comfort', 'microphone'],
  },
  {
    name: 'kitchen',
    nouns: ['frying pan', 'chef knife', 'mug set', 'mixing bowl', 'moka pot'],
    materials: ['steel', 'cast iron', 'ceramic', 'oak'],
    medianPrice: 32,
    priceSigma: 0.6,
    consumable: false,
    leadsTo: ['coffee', 'garden'],
    aspects: ['handle', 'finish', 'weight', 'cleaning'],
  },
  {
    name: 'garden',
    nouns: ['planter', 'watering can', 'pruner', 'garden chair', 'string lights'],
    materials: ['terracotta', 'zinc', 'teak', 'bamboo'],
    medianPrice: 38,
    priceSigma: 0.6,
    consumable: false,
    leadsTo: ['kitchen', 'pet-food'],
    aspects: ['finish', 'stability', 'size', 'assembly'],
  },
  {
    name: 'toys',
    nouns: ['puzzle', 'building blocks', 'board game', 'plush bear', 'train set'],
    materials: ['wooden', 'felt', 'magnetic', 'cardboard'],
    medianPrice: 26,
    priceSigma: 0.5,
    consumable: false,
    leadsTo: ['books', 'pet-food'],
    aspects: ['pieces', 'instructions', 'paint', 'fun'],
  },
  {
    name: 'books',
    nouns: ['novel', 'cookbook', 'atlas', 'picture book', 'field guide'],
    materials: ['hardcover', 'paperback', 'illustrated', 'pocket'],
    medianPrice: 19,
    priceSigma: 0.35,
    consumable: false,
    leadsTo: ['toys', 'coffee'],
    aspects: ['story', 'pictures', 'binding', 'print'],
  },
];

/** Two per style, so that a title gives a hint of its hidden style. */
export const STYLE_WORDS: readonly (readonly string[])[] = [
  ['minimal', 'plain'],
  ['rustic', 'farmhouse'],
  ['vintage', 'retro'],
  ['bold', 'bright'],
  ['sporty', 'active'],
  ['elegant', 'refined'],
  ['playful', 'cheerful'],
  ['rugged', 'outdoor'],
  ['eco', 'organic'],
  ['urban', 'street'],
  ['classic', 'timeless'],
  ['nordic', 'cosy'],
  ['tropical', 'sunny'],
  ['artisan', 'handmade'],
  ['smart', 'compact'],
  ['premium', 'deluxe'],
  ['budget', 'everyday'],
  ['romantic', 'floral'],
  ['industrial', 'raw'],
  ['travel', 'light'],
];

export const COLOURS = ['black', 'white', 'grey', 'navy', 'blue', 'green', 'olive', 'red', 'rust', 'yellow', 'pink', 'sand'] as const;

export const BRAND_STARTS = [
  'Nord',
  'Vel',
  'Mar',
  'Kes',
  'Lum',
  'Tor',
  'Alba',
  'Fjor',
  'Ceda',
  'Ost',
  'Rive',
  'Sola',
  'Bram',
  'Juni',
  'Hal',
] as const;
export const BRAND_ENDS = [
  'lyst',
  'vara',
  'ino',
  'trel',
  'wick',
  'mont',
  'sta',
  'ra',
  'well',
  'dale',
  'quist',
  'berg',
  'nova',
  'line',
  'feld',
] as const;
